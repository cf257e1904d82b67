"""Fetches an issuer's JWK set over HTTP, within bounds, from the configured address alone.

It follows no redirect and no proxy of the environment, and takes 256 KiB at the most: what an issuer answers decides
nothing but which keys are good.
"""

import asyncio
import re
from typing import Any, Final, NamedTuple

import httpx2

from argosy.identity.issuer import is_safe
from argosy.identity.signing_keys import SIZE_BYTES_MAX, NoKeysError, SigningKey, keys_in
from argosy.identity.strict_json import NotStrictError, object_of

_TIMEOUT_S: Final = 5.0
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})")
_OK, _UNCHANGED = 200, 304


class Fetched(NamedTuple):
    """An answer of an issuer. keys: None when they are those of the etag that was sent. raw: the set as it was read.
    max_age_s: for how long the issuer says that they hold; None: it says nothing.
    """

    keys: tuple[SigningKey, ...] | None
    raw: bytes
    etag: str
    max_age_s: float | None


class IssuerAwayError(Exception):
    """The issuer did not answer with a set of keys; the message says what it did instead."""


class KeyFetch:
    """Fetches the keys of one issuer. jwks_uri: where they are; empty: where the issuer's own configuration says."""

    def __init__(self, issuer: str, jwks_uri: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        """timeout_s: of a whole fetch."""
        self._timeout_s = timeout_s
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, etag: str) -> Fetched:
        """Return the keys as they are now. etag: of the keys that the caller has. Raises IssuerAwayError."""
        try:
            # A server that sends a byte now and then keeps within the time-out of each read.
            async with asyncio.timeout(self._timeout_s):
                return await self._fetch(etag)
        except (httpx2.HTTPError, httpx2.InvalidURL, NoKeysError, NotStrictError, TimeoutError) as error:
            raise IssuerAwayError(f"{type(error).__name__}: {error}") from error

    async def _fetch(self, etag: str) -> Fetched:
        jwks_uri = self._jwks_uri or await self._discover()
        raw, response = await read_json(self._client, "GET", jwks_uri, {"if-none-match": etag} if etag else {})
        max_age = _MAX_AGE.search(response.headers.get("cache-control", ""))
        max_age_s = float(max_age[1]) if max_age else None
        if response.status_code == _UNCHANGED:
            return Fetched(None, b"", etag, max_age_s)
        return Fetched(keys_in(raw), raw, response.headers.get("etag", ""), max_age_s)

    async def _discover(self) -> str:
        jwks_uri = (await discovered(self._client, self._issuer)).get("jwks_uri")
        if not isinstance(jwks_uri, str) or not is_safe(jwks_uri):
            raise IssuerAwayError("the issuer's configuration names no https address of its keys")
        return jwks_uri


async def discovered(client: httpx2.AsyncClient, issuer: str) -> dict[str, Any]:
    """Return an issuer's own configuration. Raises IssuerAwayError, NotStrictError, and what the client raises."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    found = object_of((await read_json(client, "GET", url, {}))[0])
    if found.get("issuer") != issuer:
        raise IssuerAwayError("the issuer's configuration names another issuer")
    return found


async def read_json(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    headers: dict[str, str],
    content: bytes | None = None,
    *,
    statuses: tuple[int, ...] = (_OK,),
    auth: httpx2.Auth | None = None,
) -> tuple[bytes, httpx2.Response]:
    """Return the JSON that an issuer answers, and its answer. Raises IssuerAwayError: it has another of `statuses`, is
    no JSON or too large; and what the client raises.
    """
    sent = {"accept": "application/json", **headers}
    async with client.stream(method, url, headers=sent, content=content, auth=auth) as response:
        if response.status_code == _UNCHANGED and "if-none-match" in headers:
            return b"", response
        if response.status_code not in statuses:
            raise IssuerAwayError(f"it answered {response.status_code}")
        if "json" not in response.headers.get("content-type", "").partition(";")[0]:
            raise IssuerAwayError("its answer is no JSON")
        raw = b""
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > SIZE_BYTES_MAX:
                raise IssuerAwayError(f"its answer has more than {SIZE_BYTES_MAX} bytes")
    return raw, response

"""Asks an OpenID provider where people sign in, and for the tokens of one who did; within bounds, as key_fetch.py asks
for keys.

What the provider's own configuration says is believed for _KNOWN_S, and only of addresses that are as safe as the
issuer's own.
"""

import asyncio
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2

from argosy.clock import Clock
from argosy.gateway.key_fetch import IssuerAwayError, discovered, read_json
from argosy.identity.issuer import is_safe
from argosy.identity.strict_json import NotStrictError, object_of

_TIMEOUT_S: Final = 5.0
_KNOWN_S: Final = 300.0
_RETRY_S: Final = 2.0
_EXCHANGES_MAX: Final = 16  # at once
_TOKEN_LENGTH_MAX: Final = 65_536
_FAILURES: Final = (httpx2.HTTPError, httpx2.InvalidURL, NotStrictError, TimeoutError)


class Places(NamedTuple):
    """Where a provider takes people, and gives tokens. names_itself: its answers have `iss` (RFC 9207)."""

    authorization: str
    token: str
    names_itself: bool


class RefusedError(Exception):
    """The provider gave no tokens for a code; the message says what it said instead."""


class OpenIdProvider:
    """One provider, and the client that the console is there. Used from one event loop."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, resource: str, clock: Clock) -> None:
        """client_secret: empty: a public client. resource: for which the access token is; empty: it is not named."""
        self._issuer = issuer
        self._client_id = client_id
        self._secret = client_secret
        self._resource = {"resource": resource} if resource else {}
        self._clock = clock
        self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=_TIMEOUT_S)
        self._places: Places | None = None
        self._due_at_s = float("-inf")
        self._asking = asyncio.Lock()
        self._exchanges = asyncio.Semaphore(_EXCHANGES_MAX)

    async def close(self) -> None:
        await self._client.aclose()

    async def places(self) -> Places:
        """Return where people sign in. Raises IssuerAwayError."""
        async with self._asking:  # one asks for all who come at once
            now_s = self._clock.monotonic_s()
            if now_s >= self._due_at_s:
                self._due_at_s = now_s + _RETRY_S
                try:
                    async with asyncio.timeout(_TIMEOUT_S):
                        self._places = self._read(await discovered(self._client, self._issuer))
                    self._due_at_s = now_s + _KNOWN_S
                except (*_FAILURES, IssuerAwayError) as error:
                    if self._places is None:  # else what it said before stands
                        raise IssuerAwayError(f"{type(error).__name__}: {error}") from error
            if self._places is None:
                raise IssuerAwayError("it did not answer a moment ago")
            return self._places

    async def exchange(self, code: str, redirect_uri: str, verifier: str) -> tuple[str, str]:
        """Return the access token and the ID token that the provider gives for a code. Raises IssuerAwayError,
        RefusedError.
        """
        places = await self.places()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            **self._resource,
            **({} if self._secret else {"client_id": self._client_id}),
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        # RFC 6749, 2.3.1: both are encoded as a form's values are.
        own = httpx2.BasicAuth(quote_plus(self._client_id), quote_plus(self._secret)) if self._secret else None
        if self._exchanges.locked():
            raise IssuerAwayError("too many people sign in at once")
        try:
            async with self._exchanges, asyncio.timeout(_TIMEOUT_S):
                raw, response = await read_json(
                    self._client,
                    "POST",
                    places.token,
                    headers,
                    urlencode(form).encode(),
                    statuses=(200, 400, 401),
                    auth=own,
                )
            answer = object_of(raw)
        except _FAILURES as error:
            raise IssuerAwayError(f"{type(error).__name__}: {error}") from error
        if response.status_code != 200:
            raise RefusedError(str(answer.get("error"))[:100])
        if str(answer.get("token_type")).lower() != "bearer":
            raise RefusedError("no bearer token")
        return _token(answer, "access_token"), _token(answer, "id_token")

    def _read(self, found: dict[str, Any]) -> Places:
        authorization, token = found.get("authorization_endpoint"), found.get("token_endpoint")
        for each in (authorization, token):
            if not isinstance(each, str) or not self._is_as_safe(each) or urlsplit(each).fragment:
                raise IssuerAwayError("the issuer's configuration names no https address to sign in")
        names_itself = found.get("authorization_response_iss_parameter_supported") is True
        return Places(str(authorization), str(token), names_itself)

    def _is_as_safe(self, url: str) -> bool:
        """Whether an address is https; http on loopback for an issuer that is there itself alone."""
        return is_safe(url) and (url.startswith("https://") or self._issuer.startswith("http://"))


def _token(answer: dict[str, Any], name: str) -> str:
    token = answer.get(name)
    if not isinstance(token, str) or not 1 <= len(token) <= _TOKEN_LENGTH_MAX:
        raise RefusedError(f"no {name}")
    return token

"""The sign-in at an OpenID provider: the authorization code flow with PKCE (RFC 7636, RFC 9700), through the gateway.

What belongs to one sign-in (state, nonce, verifier, where to return) is in a cookie of the browser that began it, with
a MAC by the fleet's key: any gateway finishes what another began, and nobody finishes what another browser began.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec
from starlette.types import Scope as AsgiScope

from argosy.clock import Clock
from argosy.config import Settings
from argosy.gateway.access_tokens import AccessTokens, KeysAwayError
from argosy.gateway.audited import Audited
from argosy.gateway.identity_cache import unavailable
from argosy.gateway.key_fetch import IssuerAwayError
from argosy.gateway.openid_provider import OpenIdProvider, RefusedError
from argosy.gateway.problems import Problem
from argosy.identity.access_token import BadTokenError, parse
from argosy.identity.id_token import subject_of

PENDING_S: Final = 600
CALLBACK: Final = "/v1/login/oidc/callback"
_CODE_LENGTH_MAX: Final = 4_096
_HOME: Final = "#/"
_PLACE: Final = re.compile(r"#/[A-Za-z0-9\-._~%/?=&+!*'()]{0,500}")  # of the console, behind its one address


class Pending(msgspec.Struct, array_like=True):
    """A sign-in that was begun. place: of the console, to return to. tenant: for which the login is to act."""

    state: str
    nonce: str
    verifier: str
    place: str
    tenant: str | None
    until_s: float


class SignedIn(NamedTuple):
    """Whom the provider says that somebody is. id: of the principal. access_token: not judged yet."""

    id: str
    access_token: str


class OidcLogin:
    """See above. Used from one event loop."""

    def __init__(
        self, settings: Settings, access_tokens: AccessTokens, audited: Audited, keys: Sequence[bytes], clock: Clock
    ) -> None:
        """keys: the first makes MACs; all of them prove one."""
        self.issuer = settings.auth_jwt_issuer
        self._client_id = settings.auth_oidc_client_id
        self._asked = {"scope": settings.auth_oidc_scopes}
        if settings.auth_oidc_resource:
            self._asked["resource"] = settings.auth_oidc_resource
        self._redirect_uri = settings.gateway_public_url + CALLBACK
        secret, resource = settings.auth_oidc_client_secret, settings.auth_oidc_resource
        self._provider = OpenIdProvider(self.issuer, self._client_id, secret, resource, clock)
        self._access_tokens = access_tokens
        self._audited = audited
        self._keys = tuple(keys)
        self._clock = clock

    async def close(self) -> None:
        await self._provider.close()

    @property
    def name(self) -> str:
        """What people are told that they sign in with."""
        return urlsplit(self.issuer).hostname or self.issuer

    async def begin(self, place: str, tenant: str | None) -> tuple[str, str]:
        """Return the address at which somebody signs in, and the value of this sign-in's cookie. Raises Problem."""
        try:
            places = await self._provider.places()
        except IssuerAwayError as error:
            raise unavailable(f"{self.name} does not say where people sign in ({error})") from None
        place = place if _PLACE.fullmatch(place) else _HOME
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        pending = Pending(state, nonce, verifier, place, tenant, self._clock.unix_ms() / 1_000 + PENDING_S)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **self._asked,
        }
        mark = "&" if urlsplit(places.authorization).query else "?"
        return f"{places.authorization}{mark}{urlencode(query)}", self._signed(pending)

    def pending_in(self, cookie: str | None) -> Pending | None:
        """Return the sign-in that a cookie is of, if it is ours and not too old."""
        body, _, mac = (cookie or "").partition(".")
        if not any(hmac.compare_digest(mac.encode(), _mac(key, body)) for key in self._keys):
            return None
        pending = msgspec.json.decode(urlsafe_b64decode(body), type=Pending)
        return pending if pending.until_s > self._clock.unix_ms() / 1_000 else None

    async def finish(self, scope: AsgiScope, pending: Pending | None, query: Mapping[str, str]) -> SignedIn:
        """Return who came back from the provider. query: of the address at which they did. Raises Problem."""
        self._audited.check_source(scope)
        if pending is None or not hmac.compare_digest(query.get("state", "").encode(), pending.state.encode()):
            raise self._bad(scope, "state")
        try:
            await self._check_issuer(scope, query)
            if "error" in query:
                raise self._refused(scope, query["error"])
            code = query.get("code", "")
            if not 1 <= len(code) <= _CODE_LENGTH_MAX:
                raise self._bad(scope, "code")
            access_token, id_token = await self._provider.exchange(code, self._redirect_uri, pending.verifier)
            parsed = parse(id_token)
            issuer, key = await self._access_tokens.key_of(parsed)
            if issuer.issuer != self.issuer:
                raise self._bad(scope, "id_issuer")
            now_s = self._clock.unix_ms() / 1_000
            subject = subject_of(parsed, issuer, key, now_s, client_id=self._client_id, nonce=pending.nonce)
        except IssuerAwayError as error:
            raise unavailable(f"{self.name} did not answer ({error})") from None
        except KeysAwayError:
            raise unavailable("the issuer has not been heard of for too long") from None
        except RefusedError as error:
            raise self._bad(scope, f"code refused: {error}") from None
        except BadTokenError as error:
            raise self._bad(scope, error.code) from None
        return SignedIn(f"{self.issuer}|{subject}", access_token)

    async def _check_issuer(self, scope: AsgiScope, query: Mapping[str, str]) -> None:
        """Raise Problem when another issuer than ours answers (RFC 9207)."""
        given = query.get("iss")
        if given is None:
            if (await self._provider.places()).names_itself:
                raise self._bad(scope, "iss")
        elif given != self.issuer:
            raise self._bad(scope, "iss")

    def mismatch(self, scope: AsgiScope) -> Problem:
        """Return the problem of an access token that is not of who signed in."""
        return self._bad(scope, "subject")

    def _refused(self, scope: AsgiScope, code: str) -> Problem:
        self._audited.refused(scope, "access_denied", None)
        return Problem("login_refused", f"{self.name} signed nobody in: {code[:100]}")

    def _bad(self, scope: AsgiScope, reason: str) -> Problem:
        self._audited.failed(scope, reason)
        return Problem("login_refused", "nobody was signed in: begin anew")

    def _signed(self, pending: Pending) -> str:
        body = urlsafe_b64encode(msgspec.json.encode(pending)).decode()
        return f"{body}.{_mac(self._keys[0], body).decode()}"


def _mac(key: bytes, body: str) -> bytes:
    return urlsafe_b64encode(hmac.digest(key, body.encode(), hashlib.sha256))

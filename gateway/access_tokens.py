"""Verifies the access tokens of issuers, each once, and remembers the good ones for a minute.

A remembered token is good until it ends, for 60 s at the most, and only as long as its issuer has the keys that it was
verified with. So a key that an issuer takes back is not good for longer than until the next fetch, and what is
remembered is forgotten with it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from argosy.clock import Clock
from argosy.gateway.issuer_keys import IssuerKeys
from argosy.identity.access_token import BadTokenError, Parsed, expires_at_s, key_for, parse, verify
from argosy.identity.claims import scopes_in, tenants_in
from argosy.identity.issuer import Issuer
from argosy.identity.scopes import Scope
from argosy.identity.signing_keys import SigningKey

_REMEMBERED_S: Final = 60.0
_REMEMBERED_MAX: Final = 50_000


class Verified(NamedTuple):
    """A good token. tenants: of which each request names one, if there are several; none: it is an administrator's.
    expires_at_s, issued_at_s: in Unix time.
    """

    issuer: str
    subject: str
    tenants: tuple[str, ...]
    scopes: frozenset[Scope]
    issued_at_s: float
    expires_at_s: float


class KeysAwayError(Exception):
    """The issuer has not said for so long which keys are its own that nobody can tell whether the token is good."""


class Trusted(NamedTuple):
    """An issuer, and the keys that it has now."""

    issuer: Issuer
    keys: IssuerKeys


class _Remembered(NamedTuple):
    verified: Verified
    keys: IssuerKeys
    generation: int
    until_s: float


class AccessTokens:
    """Of all issuers that the settings name. Used from one event loop."""

    def __init__(self, trusted: Sequence[Trusted], clock: Clock) -> None:
        self._trusted = {each.issuer.issuer: each for each in trusted}
        self._clock = clock
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    def remembered(self, token: str) -> Verified | None:
        """Return a token that is known to be good, without verifying anything."""
        digest = hashlib.sha256(token.encode()).digest()
        found = self._remembered.get(digest)
        if found is None:
            return None
        now_s = self._clock.unix_ms() / 1_000
        if found.until_s <= now_s or found.generation != found.keys.generation or found.keys.is_stale:
            del self._remembered[digest]
            return None
        self._remembered.move_to_end(digest)
        return found.verified

    async def verify(self, token: str) -> Verified:
        """Return a token that is good now. Raises BadTokenError, KeysAwayError."""
        parsed = parse(token)
        trusted = self._trusted.get(parsed.issuer)
        if trusted is None:
            raise BadTokenError("issuer")
        key = await self._key(parsed, trusted)
        generation = trusted.keys.generation
        now_s = self._clock.unix_ms() / 1_000
        claims = verify(parsed, trusted.issuer, key, now_s)
        ends_s = expires_at_s(claims, trusted.issuer)
        tenants, scopes = tenants_in(claims, trusted.issuer), scopes_in(claims, trusted.issuer)
        verified = Verified(parsed.issuer, claims["sub"], tenants, scopes, float(claims["iat"]), ends_s)
        until_s = min(ends_s, now_s + _REMEMBERED_S)
        self._remember(token, _Remembered(verified, trusted.keys, generation, until_s))
        return verified

    async def _key(self, parsed: Parsed, trusted: Trusted) -> SigningKey:
        if trusted.keys.is_stale:
            raise KeysAwayError
        key = key_for(parsed, trusted.issuer, trusted.keys.keys)
        if key is None and parsed.kid is not None:
            await trusted.keys.look_for(parsed.kid)
            key = key_for(parsed, trusted.issuer, trusted.keys.keys)
        if key is None:
            raise BadTokenError("unknown_kid")
        return key

    def _remember(self, token: str, remembered: _Remembered) -> None:
        self._remembered[hashlib.sha256(token.encode()).digest()] = remembered
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)

"""Verifies the access tokens of issuers, each once, and remembers the good ones for a minute.

A remembered token is good until it ends, for 60 s at the most, and only while its issuer has the key that signed it. So
a key that an issuer takes back is good until the next fetch at the longest, and all that it signed ends with it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from math import isfinite
from typing import Final, NamedTuple

from argosy.clock import Clock
from argosy.gateway.issuer_keys import IssuerKeys
from argosy.identity.access_token import BadTokenError, Parsed, expires_at_s, key_for, parse, verify
from argosy.identity.claims import rights_in, roles_for_lists
from argosy.identity.issuer import Issuer
from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.signing_keys import SigningKey

_REMEMBERED_MS: Final = 60_000
_REMEMBERED_MAX: Final = 50_000
_SEEN_S: Final = 3_600.0
_SEEN_MAX: Final = 50_000


class KeysAwayError(Exception):
    """The issuer has not said for so long which keys are its own that nobody can tell whether the token is good."""


class Trusted(NamedTuple):
    """An issuer, and the keys that it has now."""

    issuer: Issuer
    keys: IssuerKeys


class Issued(NamedTuple):
    """Who issued an access token, to whom, and when by its own clock, in Unix time."""

    issuer: str
    subject: str
    at_s: float


class KnownAccessToken:
    """An access token that was good when it was verified. Streams that were asked for with it look here whether it
    still is. tenants: of which each request names one, if there are several; none: it is an administrator's.
    principal: whom it makes of a request; of its one tenant, or of none. said: what its issuer says of it.
    """

    __slots__ = ("_keys", "_thumbprint", "ends_at_ms", "holds", "principal", "remembered_until_ms", "said", "tenants")

    def __init__(
        self,
        principal: Principal,
        tenants: tuple[str, ...],
        ends_at_ms: float,
        keys: IssuerKeys,
        thumbprint: bytes,
        said: Issued,
    ) -> None:
        self.principal = principal
        self.said = said
        self.tenants = tenants
        self.ends_at_ms = ends_at_ms
        self.remembered_until_ms = 0.0
        self.holds = 0  # as of a KnownToken
        self._keys = keys
        self._thumbprint = thumbprint

    @property
    def has_key(self) -> bool:
        """Whether the issuer still has the key that signed it."""
        return self._keys.has(self._thumbprint)

    @property
    def is_key_stale(self) -> bool:
        """Whether the issuer has not been heard of for so long that nobody can tell."""
        return self._keys.is_stale


class AccessTokens:
    """Of all issuers that the settings name. Used from one event loop."""

    def __init__(self, trusted: Sequence[Trusted], clock: Clock) -> None:
        self._trusted = {each.issuer.issuer: each for each in trusted}
        self._clock = clock
        self._remembered: OrderedDict[bytes, KnownAccessToken] = OrderedDict()
        # Ids of principals of which a token was good here, and when; the one of longest ago first.
        self._seen: OrderedDict[str, float] = OrderedDict()

    async def open(self, *, is_needed: bool) -> None:
        """Have the keys of all issuers, and keep up with them. Raises IssuerAwayError when they are needed, and one
        issuer has none.
        """
        await asyncio.gather(*(each.keys.open(is_needed=is_needed) for each in self._trusted.values()))

    async def close(self) -> None:
        await asyncio.gather(*(each.keys.close() for each in self._trusted.values()))

    @property
    def is_empty(self) -> bool:
        """Whether no issuer is trusted."""
        return not self._trusted

    def missed(self) -> dict[str, float | None]:
        """Return the issuers that are away, and have been for half of what makes their keys stale, or longer; and for
        how many seconds; None: nothing was ever heard of it.
        """
        ages_s = {name: each.keys.age_s for name, each in self._trusted.items() if each.keys.is_missed}
        return {name: round(age_s, 1) if isfinite(age_s) else None for name, age_s in ages_s.items()}

    def remembered(self, digest: bytes) -> KnownAccessToken | None:
        """Return a token that is known to be good, without verifying anything. digest: of the token, as `verify` was
        given it.
        """
        found = self._remembered.get(digest)
        if found is None:
            return None
        if found.remembered_until_ms <= self._clock.unix_ms() or not found.has_key or found.is_key_stale:
            del self._remembered[digest]
            return None
        self._remembered.move_to_end(digest)
        return found

    def recognized(self, token: str) -> str | None:
        """Return the id of the principal that a token names, if one of theirs was good here within _SEEN_S. Whether
        this one is theirs nobody has looked at.
        """
        try:
            parsed = parse(token)
        except BadTokenError:
            return None
        named = _id_of(parsed.issuer, parsed.claims.get("sub"))
        seen_s = self._seen.get(named)
        return None if seen_s is None or self._clock.monotonic_s() - seen_s > _SEEN_S else named

    async def verify(self, token: str, digest: bytes) -> KnownAccessToken:
        """Return a token that is good now. Raises BadTokenError, KeysAwayError."""
        parsed = parse(token)
        trusted = self._issuer_of(parsed)
        key = await self._key(parsed, trusted)
        now_ms = self._clock.unix_ms()
        claims = verify(parsed, trusted.issuer, key, now_ms / 1_000)
        ends_at_s = expires_at_s(claims, trusted.issuer)
        tenants, scopes = rights_in(claims, trusted.issuer)
        principal = Principal(
            PrincipalKind.JWT,
            _id_of(parsed.issuer, claims["sub"]),
            tenants[0] if len(tenants) == 1 else None,
            scopes,
            expires_at_s=ends_at_s,
            roles=roles_for_lists(claims, trusted.issuer),
        )
        said = Issued(parsed.issuer, claims["sub"], float(claims["iat"]))
        known = KnownAccessToken(principal, tenants, ends_at_s * 1_000, trusted.keys, key.thumbprint, said)
        known.remembered_until_ms = min(known.ends_at_ms, now_ms + _REMEMBERED_MS)
        self._remembered[digest] = known
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        self._see(principal.id)
        return known

    def may_be_for(self, issuer: str, tenant: str) -> bool:
        """Whether tokens of an issuer may be for a tenant. Of one that is not trusted, none may be."""
        trusted = self._trusted.get(issuer)
        return trusted is not None and trusted.issuer.may_be_for(tenant)

    async def key_of(self, parsed: Parsed) -> tuple[Issuer, SigningKey]:
        """Return the issuer that a token names, and the key with which it says that it was signed. Raises
        BadTokenError, KeysAwayError.
        """
        trusted = self._issuer_of(parsed)
        return trusted.issuer, await self._key(parsed, trusted)

    def _see(self, named: str) -> None:
        self._seen[named] = self._clock.monotonic_s()
        self._seen.move_to_end(named)
        if len(self._seen) > _SEEN_MAX:
            self._seen.popitem(last=False)

    def _issuer_of(self, parsed: Parsed) -> Trusted:
        trusted = self._trusted.get(parsed.issuer)
        if trusted is None:
            raise BadTokenError("issuer")
        return trusted

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


def _id_of(issuer: str, subject: object) -> str:
    """Return the id of the principal who is a subject of an issuer."""
    return f"{issuer}|{subject}"

"""An issuer: an OpenID provider whose access tokens Argosy takes, and what it asks of them."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from argosy.identity.principal import matches
from argosy.identity.scopes import Role

# With public keys alone. A list that had HS256, too, would take a public key for a shared secret.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
ALGORITHMS_BY_DEFAULT: Final = ("RS256", "PS256", "ES256", "EdDSA")
ANY_TENANT: Final = "*"  # as an issuer's only tenant; behind the beginning of names: of any such tenant
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Issuer(NamedTuple):
    """What makes an access token good.

    issuer: `iss`, to the letter. audience: one of `aud`. algorithms: of ALGORITHMS. tenant_claim, roles_claim: where
    the tenant and the roles stand. role_map: which role here is meant by a role there; a role that is not in it counts
    for nothing. typ: "at+jwt" when no other type is taken. clients: who may have asked for a token that is for several
    audiences; empty: anybody. skew_s: how much later or earlier than here it may be there. lifetime_s_max: between
    `iat` and `exp`. may_administer: whether a token can have scopes that go beyond one tenant. tenants: names and how
    names begin (`acme-*`) of the tenants that a token can be for; none: of any.
    """

    issuer: str
    audience: str
    algorithms: frozenset[str] = frozenset(ALGORITHMS_BY_DEFAULT)
    tenant_claim: str = "tenant"
    roles_claim: str = "roles"
    role_map: Mapping[str, Role] = {}
    typ: str = ""
    clients: frozenset[str] = frozenset()
    skew_s: float = 30.0
    lifetime_s_max: float = 86_400.0
    may_administer: bool = False
    tenants: tuple[str, ...] = ()

    def may_be_for(self, tenant: str) -> bool:
        """Whether a token can be for a tenant."""
        return not self.tenants or matches(tenant, self.tenants)


def is_origin(url: str) -> bool:
    """Whether an address is one of a whole site, and safe."""
    return is_safe(url) and re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", url) is not None


def is_safe(url: str) -> bool:
    """Whether keys may be fetched from an address: over https, or from this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )

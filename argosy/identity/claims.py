"""What the claims of a good access token mean here: a tenant, and scopes."""

from collections.abc import Mapping
from typing import Any, Final

from argosy.identity.access_token import BadTokenError
from argosy.identity.issuer import Issuer
from argosy.identity.scopes import OF_TENANTS, SCOPES_OF, Role, Scope, known
from argosy.names import is_tenant

_ROLES_MAX: Final = 256  # each goes with every call to a shard, behind the issuer's name


def rights_in(claims: Mapping[str, Any], issuer: Issuer) -> tuple[tuple[str, ...], frozenset[Scope]]:
    """Return the tenants that a token is for, and its scopes. Raises BadTokenError.

    A token without a tenant is an operator's or an administrator's. Without the right to act as any tenant it has an
    operator's scopes alone: what a role means within a tenant must not become a right over all of them because the
    claim is missing.
    """
    tenants, scopes = tenants_in(claims, issuer), scopes_in(claims, issuer)
    if tenants or Scope.ACT_AS in scopes:
        return tenants, scopes
    if not scopes - OF_TENANTS:
        raise BadTokenError("tenant")
    return tenants, scopes & SCOPES_OF[Role.OPERATOR]


def tenants_in(claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """Return the tenants that a token is for: one, or several, of which each request names one. None, if the token may
    administer and names no tenant. Raises BadTokenError.
    """
    given = claims.get(issuer.tenant_claim)
    if given is None and issuer.may_administer:
        return ()
    several = [given] if isinstance(given, str) else given
    if not isinstance(several, list) or not several or not all(isinstance(each, str) for each in several):
        raise BadTokenError("tenant")
    if not all(is_tenant(each) for each in several):
        raise BadTokenError("tenant")
    return tuple(dict.fromkeys(several))


def scopes_in(claims: Mapping[str, Any], issuer: Issuer) -> frozenset[Scope]:
    """Return the scopes of a token: those of its roles, by the issuer's map, and those that it names as they are called
    here. Words that mean nothing here are ignored. Raises BadTokenError when one of the claims has a form that nobody
    can read with certainty.
    """
    of_roles = [SCOPES_OF[issuer.role_map[role]] for role in roles_in(claims, issuer) if role in issuer.role_map]
    found = frozenset[Scope]().union(*of_roles, known(_own_words(claims)))
    return found if issuer.may_administer else found & OF_TENANTS


def roles_in(claims: Mapping[str, Any], issuer: Issuer) -> list[str]:
    """Return the roles that the issuer says, in its own words. Raises BadTokenError."""
    given = claims.get(issuer.roles_claim, [])
    roles = [given] if isinstance(given, str) else given
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise BadTokenError("roles")
    return roles


def roles_for_lists(claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """Return the roles by which access control lists know a token: those here that its roles mean, by the issuer's map;
    and the issuer's own, each as ISSUER|ROLE, so that no issuer's words are another's, or ours. Raises BadTokenError.

    A role whose scopes no token of this issuer can have is none by that map either. Of more than _ROLES_MAX words of
    the issuer's those that sort first count.
    """
    said = roles_in(claims, issuer)
    meant = {issuer.role_map[role] for role in said if role in issuer.role_map}
    ours = {str(role) for role in meant if issuer.may_administer or SCOPES_OF[role] <= OF_TENANTS}
    return (*sorted(ours), *(f"{issuer.issuer}|{role}" for role in sorted(set(said))[:_ROLES_MAX]))


def _own_words(claims: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name in ("scope", "scp"):
        given = claims.get(name)
        if isinstance(given, str):
            words += given.split()
        elif isinstance(given, list) and name == "scp" and all(isinstance(each, str) for each in given):
            words += given
        elif given is not None:
            raise BadTokenError("scope")
    return words

"""Who asks, as a request carries it once it was let in (access.py)."""

from typing import Final

from starlette.types import Scope

from argosy.gateway.problems import Problem
from argosy.identity.principal import Principal

_PRINCIPAL: Final = "argosy.principal"


def let_in(scope: Scope, found: Principal) -> None:
    """Remember with a request who asks."""
    scope[_PRINCIPAL] = found


def principal_in(scope: Scope) -> Principal:
    """Return who asks, of a request that was let in."""
    found: Principal = scope[_PRINCIPAL]
    return found


def tenant_in(scope: Scope) -> str | None:
    """Return whom a request is for, if it is for a tenant."""
    found: Principal | None = scope.get(_PRINCIPAL)
    return None if found is None else found.tenant


def tenant_not_found(name: str) -> Problem:
    """Return the problem of a request that names a tenant that is not there."""
    return Problem("tenant_not_found", f"there is no tenant {name!r}")

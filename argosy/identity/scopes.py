"""Scopes, each a right to one kind of request, and roles, which are names for sets of scopes.

A route declares the scope that it needs; a credential has the scopes that its role stands for, or some of its own. A
role is expanded when its credential is looked at, so a scope that a later version adds to a role is in old credentials,
too.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Scope(StrEnum):
    """A right. The words are those of the API, `noun:verb`."""

    TURNS_READ = "turns:read"
    TURNS_WRITE = "turns:write"
    TURNS_CANCEL = "turns:cancel"
    TURNS_RESUME = "turns:resume"
    SIGNALS_WRITE = "signals:write"
    SESSIONS_READ = "sessions:read"
    EVENTS_READ = "events:read"
    WORKFLOWS_READ = "workflows:read"
    GRAPHS_READ = "graphs:read"
    GRAPHS_WRITE = "graphs:write"
    GRAPHS_ADMIN = "graphs:admin"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    ERASURES_READ = "erasures:read"
    ERASURES_WRITE = "erasures:write"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    AUDIT_READ = "audit:read"
    FLEET_READ = "fleet:read"
    LEADERS_READ = "leaders:read"
    DEADLETTERS_READ = "deadletters:read"
    DEADLETTERS_READ_VALUES = "deadletters:read_values"
    METRICS_READ = "metrics:read"
    TENANTS_READ = "tenants:read"
    TENANTS_WRITE = "tenants:write"
    ACT_AS = "tenants:act_as"


class Role(StrEnum):
    """A name for a set of scopes; see SCOPES_OF."""

    VIEWER = "viewer"
    USER = "user"
    TENANT = "tenant"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER: Final = frozenset({Scope.TURNS_READ, Scope.SESSIONS_READ, Scope.EVENTS_READ, Scope.WORKFLOWS_READ})
_USER: Final = _VIEWER | {Scope.TURNS_WRITE, Scope.SIGNALS_WRITE, Scope.TURNS_CANCEL}
# A resume may repeat an effect of which nobody knows whether it happened, so a user has no right to it.
_TENANT: Final = _USER | {
    Scope.TURNS_RESUME,
    Scope.GRAPHS_READ,
    Scope.GRAPHS_WRITE,
    # Every graph of the tenant, whatever access control lists say, and these lists.
    Scope.GRAPHS_ADMIN,
    Scope.JOBS_READ,
    Scope.JOBS_WRITE,
    Scope.ERASURES_READ,
    Scope.ERASURES_WRITE,
    Scope.TOKENS_READ,
    Scope.TOKENS_WRITE,
    Scope.AUDIT_READ,
}
# An operator sees processes, partitions and shards, and nothing that a tenant sent or received.
_OPERATOR: Final = frozenset(
    {Scope.FLEET_READ, Scope.LEADERS_READ, Scope.DEADLETTERS_READ, Scope.METRICS_READ, Scope.WORKFLOWS_READ}
)
# The values of dead letters are what nobody knows which tenant has sent.
_ADMIN: Final = _OPERATOR | {
    Scope.DEADLETTERS_READ_VALUES,
    Scope.TENANTS_READ,
    Scope.TENANTS_WRITE,
    Scope.TOKENS_READ,
    Scope.TOKENS_WRITE,
    Scope.AUDIT_READ,
    Scope.ACT_AS,
}

SCOPES_OF: Final[dict[Role, frozenset[Scope]]] = {
    Role.VIEWER: _VIEWER,
    Role.USER: _USER,
    Role.TENANT: _TENANT,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: _ADMIN,
}
ALL: Final = frozenset(Scope)
# What a credential of a tenant can have at the most: what concerns that tenant alone.
OF_TENANTS: Final = _TENANT
_KNOWN: Final = {str(scope): scope for scope in Scope}


def known(words: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes among words. A word that this version does not know, a later version may have written."""
    return frozenset(_KNOWN[word] for word in words if word in _KNOWN)


def expand(role: str | None, scopes: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of a credential: those of its role, if it has one, and its own. A role that this version does
    not know gives none.
    """
    return _expanded(role, tuple(scopes))


@lru_cache(maxsize=1_024)  # a gateway has many tokens with few sets of scopes: each set is there once
def _expanded(role: str | None, scopes: tuple[str, ...]) -> frozenset[Scope]:
    of_role = SCOPES_OF[Role(role)] if role in set(Role) else frozenset[Scope]()
    return of_role | known(scopes)

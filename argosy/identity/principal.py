"""A principal: who asks, for which tenant, and what they may do. It is made once per request, in one place
(gateway/authenticate.py), and everything below a route asks the principal, never a header.
"""

import uuid
from enum import StrEnum
from typing import Final, NamedTuple

from argosy.identity.scopes import ALL, OF_TENANTS, Role, Scope

PATTERNS_MAX: Final = 32  # of sessions, or of workflows, that one credential is limited to


class PrincipalKind(StrEnum):
    """How a principal was recognized. local: nobody was asked (KG_AUTH_REQUIRED=0). login: by the cookie of a login
    session, whose subject has the id that a token of its own would have.
    """

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105 (a word)
    JWT = "jwt"
    LOGIN = "login"


class Principal(NamedTuple):
    """Who asks. id: of the audit log; no secret. tenant: whom the request is for; None: an operator who named none.
    sessions, workflows: patterns that limit the credential to some; None: to none. expires_at_s: in Unix time; None:
    never. acts_as: the tenant is one that an operator named in X-Argosy-Tenant. roles: of the credential, as access
    control lists of graphs know them (those of issuers: claims.py); they are no rights here. subject: as whom these
    lists know it, if that is not its id: a token that took the place of others has the id of the first one.
    """

    kind: PrincipalKind
    id: str
    tenant: str | None
    scopes: frozenset[Scope]
    token_id: uuid.UUID | None = None
    expires_at_s: float | None = None
    sessions: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    acts_as: bool = False
    roles: tuple[str, ...] = ()
    subject: str = ""

    @property
    def known_as(self) -> str:
        """As whom access control lists know it."""
        return self.subject or self.id

    def may_see(self, session: str) -> bool:
        """Whether a session is among those that the credential is limited to."""
        return self.sessions is None or matches(session, self.sessions)

    def may_run(self, workflow: str) -> bool:
        """Whether a workflow is among those that the credential is limited to."""
        return self.workflows is None or matches(workflow, self.workflows)


def local(tenant: str, *, is_operator: bool) -> Principal:
    """Return the principal of a request where nobody is asked who they are. is_operator: it may see the fleet, too."""
    return Principal(PrincipalKind.LOCAL, "local", tenant, ALL if is_operator else OF_TENANTS)


def fault_of_grant(principal: Principal, tenant: str | None, scopes: frozenset[Scope], role: Role | None) -> str | None:
    """Return what is wrong with a credential that a principal wants to make, or None.

    tenant, scopes: of the credential. Nobody hands on a right that they lack. One exception makes new tenants possible:
    who may act as any tenant may make any credential of a tenant.
    """
    if tenant is not None and (beyond := scopes - OF_TENANTS):
        return f"a token of a tenant cannot have {_named(beyond)}"
    may_give = principal.scopes | (
        OF_TENANTS if Scope.ACT_AS in principal.scopes and tenant is not None else frozenset()
    )
    if missing := scopes - may_give:
        what = f"the role {str(role)!r} has" if role else "these are"
        return f"{what} scopes that you lack: {_named(missing)}"
    if not scopes:
        return "a token needs a role or scopes: without them it can do nothing"
    return None


def _named(scopes: frozenset[Scope]) -> str:
    return ", ".join(sorted(scopes))


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name is one of these patterns, or begins with one that ends with a star."""
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in patterns)

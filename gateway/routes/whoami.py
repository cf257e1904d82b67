"""GET /v1/whoami: who the gateway takes a client for, and what that client may do."""

import uuid
from datetime import UTC, datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.access import GuardedRoute, needs_a_principal, principal_of
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import strict
from argosy.gateway.routes.turns import json_response
from argosy.graph.asker import own_labels
from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import SCOPES_OF, Role, Scope

router: Final = APIRouter(prefix="/v1", tags=["identity"], dependencies=[strict], route_class=GuardedRoute)


class PrincipalView(msgspec.Struct, kw_only=True):
    """Who asks. kind: local: nobody is asked. tenant: null for an operator who names none. role: whose scopes these
    are, if they are those of one. sessions, workflows: patterns that limit the credential; null: they do not. acts_as:
    the tenant was named in X-Argosy-Tenant. labels: what access control lists may have that are this client's own.
    """

    kind: PrincipalKind
    id: str
    token_id: uuid.UUID | None
    tenant: str | None
    role: Role | None
    scopes: list[Scope]
    sessions: list[str] | None
    workflows: list[str] | None
    expires_at: datetime | None
    acts_as: bool
    labels: list[str]


@router.get("/whoami", responses=answers("PrincipalView"))
@needs_a_principal
async def whoami(request: Request) -> Response:
    """Whom the credential stands for, and what it has a right to."""
    return json_response(view_of(principal_of(request)))


def view_of(found: Principal) -> PrincipalView:
    """Return a principal as clients see it."""
    return PrincipalView(
        kind=found.kind,
        id=found.id,
        token_id=found.token_id,
        tenant=found.tenant,
        role=next((role for role, scopes in SCOPES_OF.items() if scopes == found.scopes), None),
        scopes=sorted(found.scopes),
        sessions=None if found.sessions is None else list(found.sessions),
        workflows=None if found.workflows is None else list(found.workflows),
        expires_at=None if found.expires_at_s is None else datetime.fromtimestamp(found.expires_at_s, UTC),
        acts_as=found.acts_as,
        labels=own_labels(found.known_as, found.roles),
    )

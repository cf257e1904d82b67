"""GET /v1/audit: who did what to tokens and tenants, who acted as a tenant, and who was refused."""

import uuid
from datetime import datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.access import GuardedRoute, needs_anywhere, principal_of
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import Cursor, Limit, page_size, strict
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.identity.scopes import Scope
from argosy.store.audit import AuditRow, list_audit

router: Final = APIRouter(prefix="/v1", tags=["identity"], dependencies=[strict], route_class=GuardedRoute)


class AuditEntry(msgspec.Struct, kw_only=True):
    """What somebody did, or was refused; number: so often. tenant: whom it is about; null: the installation."""

    no: int
    at: datetime
    actor_kind: str
    actor_id: str
    token_id: uuid.UUID | None
    tenant: str | None
    action: str
    target: str
    outcome: str
    reason: str
    request_id: str
    source: str
    number: int


class AuditPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    entries: list[AuditEntry]
    next: str | None


@router.get("/audit", responses=answers("AuditPage"))
@needs_anywhere(Scope.AUDIT_READ)
async def get_audit(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """The audit, newest first: a tenant's own; for an operator who names none, all of it."""
    state = state_of(request)
    tenant = principal_of(request).tenant
    list_name = ("audit", tenant)
    before = None if cursor is None else state.cursors.decode(list_name, cursor, tuple[int])[0]
    size = page_size(limit, state.settings.page_size_max)
    rows = await list_audit(state.pool, tenant, before, size + 1)
    return json_response(
        AuditPage(
            entries=[_shown(row) for row in rows[:size]],
            next=state.cursors.encode(list_name, (rows[size - 1].no,)) if len(rows) > size else None,
        )
    )


def _shown(row: AuditRow) -> AuditEntry:
    return AuditEntry(no=row.no, at=row.at, number=row.number, **row.act._asdict())

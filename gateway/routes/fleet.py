"""GET /v1/workflows and /v1/dead-letters: what the lane can run, and what it could not read."""

import base64
from datetime import UTC, datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.store import catalog, dead_letter
from gateway import names
from gateway.openapi import answers
from gateway.parameters import INTEGER_MAX, Cursor, Limit, microseconds, moment, page_size, strict
from gateway.routes.turns import json_response
from gateway.state import state_of

router: Final = APIRouter(prefix="/v1", tags=["fleet"], dependencies=[strict])

VALUE_SIZE_BYTES_MAX: Final = 4_096
_DeadLetterPlace = tuple[int, str, int, int]
# Before this place is everything. U+10FFFF sorts after every log id.
_DEAD_LETTER_BEGIN: Final = (datetime.max.replace(tzinfo=UTC), "\U0010ffff", INTEGER_MAX, 2**63 - 1)


class WorkflowVersion(msgspec.Struct, kw_only=True):
    name: str
    version: str
    build: str
    description: str
    first_seen_at: datetime
    last_seen_at: datetime


class WorkflowPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    workflows: list[WorkflowVersion]
    next: str | None


class DeadLetter(msgspec.Struct, kw_only=True):
    """A record that could not become a turn. value_base64: its first 4096 bytes."""

    log_id: str
    partition: int
    position: int
    code: str
    reason: str
    at: datetime
    value_size_bytes: int
    value_base64: str


class DeadLetterPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    dead_letters: list[DeadLetter]
    next: str | None


@router.get("/workflows", responses=answers("WorkflowPage"))
async def list_workflows(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Every version of every workflow that a worker of the lane registered, by name."""
    state = state_of(request)
    lane = state.settings.lane
    list_name = ("workflows", state.tenant_of(request), lane)
    after = ("", "") if cursor is None else state.cursors.decode(list_name, cursor, tuple[str, str])
    size = page_size(limit, state.settings.page_size_max)
    rows = await catalog.list_workflows(state.pool, lane, after=after, limit=size + 1)
    page, last = rows[:size], rows[size - 1] if len(rows) > size else None
    return json_response(
        WorkflowPage(
            workflows=[WorkflowVersion(**row._asdict()) for row in page],
            next=state.cursors.encode(list_name, (last.name, last.version)) if last else None,
        )
    )


@router.get("/dead-letters", responses=answers("DeadLetterPage"))
async def list_dead_letters(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Records of the lane that could not become turns, newest first.

    Nobody knows whose they were: they are shown to the tenant `default`, the operator's, and to no other.
    """
    state = state_of(request)
    tenant, lane = state.tenant_of(request), state.settings.lane
    list_name = ("dead-letters", tenant, lane)
    before = _DEAD_LETTER_BEGIN
    if cursor is not None:
        at_us, *rest = state.cursors.decode(list_name, cursor, _DeadLetterPlace)
        before = (moment(at_us), *rest)
    if tenant != names.DEFAULT_TENANT:
        return json_response(DeadLetterPage(dead_letters=[], next=None))
    size = page_size(limit, state.settings.page_size_max)
    rows = await dead_letter.list_dead_letters(
        state.pool, lane, before=before, value_size_bytes_max=VALUE_SIZE_BYTES_MAX, limit=size + 1
    )
    page, last = rows[:size], rows[size - 1] if len(rows) > size else None
    place = (microseconds(last.at), last.log_id, last.partition, last.position) if last else None
    return json_response(
        DeadLetterPage(
            dead_letters=[_shown(row) for row in page],
            next=state.cursors.encode(list_name, place) if place else None,
        )
    )


def _shown(row: dead_letter.DeadLetterRow) -> DeadLetter:
    return DeadLetter(
        log_id=row.log_id,
        partition=row.partition,
        position=row.position,
        code=row.code,
        reason=row.reason,
        at=row.at,
        value_size_bytes=row.value_size_bytes,
        value_base64=base64.b64encode(row.value_start).decode(),
    )

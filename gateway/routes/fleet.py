"""GET /v1/fleet, …/partitions, /v1/workflows, /v1/dead-letters: workers, what they own and can run, and dead letters.

These are for operators, whatever their tenant is; every tenant is shown the workflows.
"""

import asyncio
import base64
import uuid
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy import ids
from argosy.gateway import fleet_views
from argosy.gateway.access import GuardedRoute, lacking, needs_anywhere, principal_of
from argosy.gateway.audited import act_of
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import INTEGER_MAX, Cursor, Limit, microseconds, moment, page_size, strict
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.identity.scopes import Scope
from argosy.life import silent_after_s
from argosy.store import catalog, dead_letter, fleet

router: Final = APIRouter(prefix="/v1", tags=["fleet"], dependencies=[strict], route_class=GuardedRoute)

VALUE_SIZE_BYTES_MAX: Final = 4_096  # enough to recognize a record; clients are told its whole size
# How much Postgres looks at for one page, for all its partitions together: some 50 ms at the most.
SESSIONS_LOOKED_AT_MAX: Final = 10_000
TURNS_COUNTED_MAX: Final = 100_000
_DeadLetterPlace = tuple[int, str, int, int]
# Every row is before this place. U+10FFFF sorts after every log id.
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
    """A record that could not become a turn. value_base64: its first 4096 bytes, where they were asked for."""

    log_id: str
    partition: int
    position: int
    code: str
    reason: str
    at: datetime
    value_size_bytes: int
    value_base64: str | None


class DeadLetterPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    dead_letters: list[DeadLetter]
    next: str | None


Lane = Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Only this lane.")]


@router.get("/fleet", responses=answers("FleetPage", 403))
@needs_anywhere(Scope.FLEET_READ, minds_limits=True)
async def get_fleet(request: Request, lane: Lane = None, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Every lane, and a page of workers, by lane and id. For operators."""
    state = state_of(request)
    list_name = ("fleet", lane)
    after = ("", uuid.UUID(int=0))
    if cursor is not None:
        after = state.cursors.decode(list_name, cursor, tuple[str, uuid.UUID])
    size = page_size(limit, state.settings.page_size_max)
    ttl_s = state.settings.heartbeat_ttl_s
    rows, workers, partitions = await asyncio.gather(
        fleet.list_workers(state.pool, lane, after=after, limit=size + 1),
        fleet.count_workers(state.pool, lane, heard_within_s=silent_after_s(ttl_s)),
        fleet.count_partitions(state.pool, lane),
    )
    own = state.settings.lane
    counts = {own: state.writer.partition_count} if lane in (None, own) else {}
    last = rows[size - 1] if len(rows) > size else None
    return json_response(
        fleet_views.FleetPage(
            lanes=fleet_views.lanes(workers, partitions, counts),
            workers=[fleet_views.worker(row, ttl_s) for row in rows[:size]],
            next=state.cursors.encode(list_name, (last.lane, last.worker_id)) if last else None,
        )
    )


@router.get("/fleet/partitions", responses=answers("FleetPartitionPage", 403))
@needs_anywhere(Scope.FLEET_READ, minds_limits=True)
async def list_partitions(request: Request, lane: Lane = None, limit: Limit = None, cursor: Cursor = None) -> Response:
    """The partitions of a lane (by default the gateway's own): owner, position, and what waits. For operators."""
    state = state_of(request)
    own = state.settings.lane
    lane = lane or own
    list_name = ("partitions", lane)
    first = 0 if cursor is None else state.cursors.decode(list_name, cursor, tuple[int])[0]
    size = page_size(limit, state.settings.page_size_max)
    # Only a gateway of another lane knows how many partitions that lane has, and so which buckets each has.
    count = state.writer.partition_count if lane == own else None
    rows = await fleet.list_partitions(state.pool, lane, first=first, limit=size + 1, partition_count=count)
    page = rows[:size]
    measures: dict[int, fleet.PartitionMeasure] = {}
    if page and count is not None:
        buckets = {row.partition: ids.buckets_of(row.partition, count) for row in page if row.partition < count}
        found = await fleet.measure_partitions(
            state.pool,
            lane,
            buckets,
            sessions_max=SESSIONS_LOOKED_AT_MAX // len(page),
            turns_max=TURNS_COUNTED_MAX // len(page),
        )
        measures = {each.partition: each for each in found}
    return json_response(
        fleet_views.FleetPartitionPage(
            lane=lane,
            partitions=[fleet_views.partition(row, measures.get(row.partition)) for row in page],
            next=state.cursors.encode(list_name, (rows[size].partition,)) if len(rows) > size else None,
        )
    )


@router.get("/workflows", responses=answers("WorkflowPage"))
@needs_anywhere(Scope.WORKFLOWS_READ, minds_limits=True)
async def list_workflows(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Every version of every workflow that a worker of the lane registered, by name."""
    state = state_of(request)
    lane = state.settings.lane
    list_name = ("workflows", principal_of(request).tenant, lane)
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


@router.get("/dead-letters", responses=answers("DeadLetterPage", 403))
@needs_anywhere(Scope.DEADLETTERS_READ, minds_limits=True)
async def list_dead_letters(
    request: Request,
    limit: Limit = None,
    cursor: Cursor = None,
    values: Annotated[bool, Query(description="With what the records say; needs deadletters:read_values.")] = False,
) -> Response:
    """Records of the lane that could not become turns, newest first.

    No tenant can be told from such a record: operators alone are shown them. What they say may be any tenant's: it is
    shown to those alone who have a right to that, and the audit tells it.
    """
    state = state_of(request)
    if values:
        principal = principal_of(request)
        if Scope.DEADLETTERS_READ_VALUES not in principal.scopes:
            raise lacking(Scope.DEADLETTERS_READ_VALUES)
        act = act_of(request, principal, "deadletters.read_values", target=state.settings.lane)
        await state.identity.audited.note_once(act)
    lane = state.settings.lane
    list_name = ("dead-letters", lane)
    before = _DEAD_LETTER_BEGIN
    if cursor is not None:
        at_us, *rest = state.cursors.decode(list_name, cursor, _DeadLetterPlace)
        before = (moment(at_us), *rest)
    size = page_size(limit, state.settings.page_size_max)
    rows = await dead_letter.list_dead_letters(
        state.pool, lane, before=before, value_size_bytes_max=VALUE_SIZE_BYTES_MAX if values else 0, limit=size + 1
    )
    page, last = rows[:size], rows[size - 1] if len(rows) > size else None
    place = (microseconds(last.at), last.log_id, last.partition, last.position) if last else None
    return json_response(
        DeadLetterPage(
            dead_letters=[_shown(row, has_value=values) for row in page],
            next=state.cursors.encode(list_name, place) if place else None,
        )
    )


def _shown(row: dead_letter.DeadLetterRow, *, has_value: bool) -> DeadLetter:
    return DeadLetter(
        log_id=row.log_id,
        partition=row.partition,
        position=row.position,
        code=row.code,
        reason=row.reason,
        at=row.at,
        value_size_bytes=row.value_size_bytes,
        value_base64=base64.b64encode(row.value_start).decode() if has_value else None,
    )

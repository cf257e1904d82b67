"""GET /v1/turns/{turn_id}, …/events, …/explain: what happened to a turn, and why nothing does."""

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy.store import turn as turns
from argosy.turn.status import Status
from gateway import explain, views
from gateway.openapi import answers
from gateway.parameters import INTEGER_MAX, Limit, page_size, strict
from gateway.resolve import not_found, partition_of, resolve, turn_id_of
from gateway.state import State, state_of

router: Final = APIRouter(prefix="/v1/turns", tags=["turns"], dependencies=[strict])

STEP_EVENTS_MAX: Final = 2_000
EVENTS_MAX: Final = 1_000
# Of the data of events in one answer; the one that passes it is the last.
ANSWER_SIZE_BYTES_MAX: Final = 4_194_304


@router.get("/{turn_id}", responses=answers("Turn", 404))
async def get_turn(turn_id: str, request: Request) -> Response:
    """A turn with its steps. A duplicate's id shows the first turn."""
    state = state_of(request)
    tenant = state.tenant_of(request)
    return json_response(await read_turn(state, turn_id_of(turn_id, tenant, state.settings.lane), tenant))


@router.get("/{turn_id}/events", responses=answers("TurnEvents", 404))
async def get_turn_events(
    turn_id: str,
    request: Request,
    after: Annotated[int, Query(ge=0, le=INTEGER_MAX, description="Number of the last event seen.")] = 0,
    limit: Limit = None,
) -> Response:
    """The durable events after one of them, in order: 1..n without gaps."""
    state = state_of(request)
    tenant, lane = state.tenant_of(request), state.settings.lane
    requested = turn_id_of(turn_id, tenant, lane)
    found = await resolve(state, turns.find_turn, requested, tenant)
    if found is None:
        return json_response(views.TurnEvents(turn_id=requested, events=[], next=after))
    rows = await turns.list_turn_events(
        state.pool,
        found.turn_id,
        tenant,
        lane,
        after=after,
        limit=page_size(limit, EVENTS_MAX, EVENTS_MAX),
        size_bytes_max=ANSWER_SIZE_BYTES_MAX,
    )
    events = [views.event(row) for row in rows]
    return json_response(views.TurnEvents(turn_id=found.turn_id, events=events, next=rows[-1].seq if rows else after))


@router.get("/{turn_id}/explain", responses=answers("Explanation", 404))
async def explain_turn(turn_id: str, request: Request) -> Response:
    """Why a turn is not running, and what can be done about it."""
    state = state_of(request)
    settings = state.settings
    tenant = state.tenant_of(request)
    requested = turn_id_of(turn_id, tenant, settings.lane)
    found = await resolve(state, turns.find_turn, requested, tenant)
    partition = partition_of(state, requested)
    if found is None:
        facts = await turns.explain_partition(
            state.pool, settings.lane, partition, heartbeat_ttl_s=settings.heartbeat_ttl_s
        )
        verdict = explain.verdict_of_accepted(facts, views.minted_at(requested))
        return _explained(requested, Status.ACCEPTED, verdict)
    turn_facts = await turns.explain_turn(
        state.pool,
        found.turn_id,
        tenant,
        settings.lane,
        heartbeat_ttl_s=settings.heartbeat_ttl_s,
        handover_s=settings.handover_s,
        partition=partition,
    )
    if turn_facts is None:
        raise not_found(requested)
    verdict = explain.verdict(turn_facts, found.turn_id, views.waits(turn_facts.waits))
    return _explained(found.turn_id, Status(turn_facts.status), verdict)


async def read_turn(state: State, requested: uuid.UUID, tenant: str) -> views.Turn:
    """What GET shows. Raises: Problem, StoreUnavailableError."""
    row = await resolve(state, turns.get_turn, requested, tenant)
    if row is None:
        return views.Turn(turn_id=requested, status=Status.ACCEPTED, accepted_at=views.minted_at(requested))
    events, is_truncated = await turns.list_turn_steps(
        state.pool,
        row.turn_id,
        tenant,
        state.settings.lane,
        limit=STEP_EVENTS_MAX,
        size_bytes_max=ANSWER_SIZE_BYTES_MAX,
    )
    return views.turn(row, views.steps(events), is_truncated, requested)


def json_response(view: object) -> Response:
    """200 with a view."""
    return Response(views.encode(view), 200, media_type="application/json")


def _explained(turn_id: uuid.UUID, status: Status, verdict: explain.Verdict) -> Response:
    return json_response(
        explain.Explanation(
            turn_id=turn_id,
            status=status,
            code=verdict.code,
            why=verdict.why,
            what_to_do=verdict.what_to_do,
            details=verdict.details,
        )
    )

"""GET /v1/turns/{turn_id}, …/explain: a turn, and why it is not running."""

import asyncio
import uuid
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway import explain, views
from argosy.gateway.access import GuardedRoute, needs, principal_of, tenant_of
from argosy.gateway.body import until_gone
from argosy.gateway.explain_hidden import without_workers
from argosy.gateway.limits import named_turn
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import INTEGER_MAX, strict
from argosy.gateway.problems import Problem
from argosy.gateway.resolve import not_found, partition_of, resolve
from argosy.gateway.state import State, state_of
from argosy.gateway.verdict import Verdict
from argosy.identity.scopes import Scope
from argosy.seal.errors import PayloadUnreadableError
from argosy.store import opened_turn
from argosy.store import turn as turns
from argosy.turn.status import ENDED, Status

router: Final = APIRouter(prefix="/v1/turns", tags=["turns"], dependencies=[strict], route_class=GuardedRoute)


@router.get("/{turn_id}", responses=answers("Turn", 404, 410))
@needs(Scope.TURNS_READ, minds_limits=True)
async def get_turn(
    turn_id: str,
    request: Request,
    wait: Annotated[int, Query(ge=0, le=INTEGER_MAX, description="Seconds to wait for its end, up to a bound.")] = 0,
) -> Response:
    """A turn with its steps. A duplicate's id shows the first turn. With `wait`, the answer comes as soon as the turn
    has ended or is parked, or else after that time.
    """
    state = state_of(request)
    tenant = tenant_of(request)
    requested = await named_turn(request, turn_id)
    if wait:
        found = await resolve(state, turns.find_turn, requested, tenant)
        if found is None or (found.status not in ENDED and found.status != Status.PARKED):
            wait_s = min(wait, state.settings.wait_s_max)
            await wait_for_end(request, state, requested, tenant, wait_s, or_parked=True)
    return json_response(await read_turn(state, requested, tenant))


@router.get("/{turn_id}/explain", responses=answers("Explanation", 404))
@needs(Scope.TURNS_READ, minds_limits=True)
async def explain_turn(turn_id: str, request: Request) -> Response:
    """Why a turn is not running, and what can be done about it."""
    state = state_of(request)
    settings = state.settings
    tenant = tenant_of(request)
    requested = await named_turn(request, turn_id)
    found = await resolve(state, turns.find_turn, requested, tenant)
    partition = partition_of(state, requested)
    if found is None:
        facts = await turns.explain_arrival(
            state.pool,
            requested,
            tenant,
            settings.lane,
            partition=partition,
            heartbeat_ttl_s=settings.heartbeat_ttl_s,
        )
        verdict = explain.verdict_of_accepted(facts, views.minted_at(requested))
        return _explained(requested, Status.ACCEPTED, verdict)
    turn_facts = await opened_turn.explain_turn(
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
    if Scope.FLEET_READ not in principal_of(request).scopes:
        verdict = without_workers(verdict, turn_facts)
    return _explained(found.turn_id, Status(turn_facts.status), verdict)


async def read_turn(state: State, requested: uuid.UUID, tenant: str) -> views.Turn:
    """Return what GET shows of a turn. Raises: Problem, StoreUnavailableError."""
    settings = state.settings
    steps_max, size_bytes_max = settings.answer_steps_max, settings.answer_size_bytes_max
    read = partial(opened_turn.get_turn, steps_max=steps_max, size_bytes_max=size_bytes_max)
    try:
        row = await resolve(state, read, requested, tenant)
    except PayloadUnreadableError as error:  # a stream, which ends with any Problem, asks for this, too
        raise Problem(error.code, str(error)) from error
    if row is None:
        return views.Turn(turn_id=requested, status=Status.ACCEPTED, accepted_at=views.minted_at(requested))
    return views.turn(row, requested)


async def wait_for_end(
    request: Request,
    state: State,
    turn_id: uuid.UUID,
    tenant: str,
    timeout_s: float,
    *,
    or_parked: bool = False,
    is_accepted: bool = False,
) -> bool:
    """Wait for a turn to end, and return whether it has. False after timeout_s, and when the client is gone.

    or_parked: a parked turn ends the wait, too. Raises Problem when the client's token ends, and when its tenant has as
    many waits as it may; with is_accepted it returns False then, because the turn was taken all the same.
    """
    await state.limits.ask_for_stream(tenant)
    gone = asyncio.ensure_future(until_gone(request.receive))
    try:
        with state.limits.stream(tenant), state.identity.open_requests.opened(request.scope) as opened:
            opened.over.add_done_callback(lambda _: gone.cancel())
            has_ended = await state.waiting.wait(turn_id, tenant, timeout_s, gone, or_parked=or_parked) is not None
            opened.check()
            return has_ended
    except Problem:
        if not is_accepted:
            raise
        return False
    finally:
        gone.cancel()


def json_response(view: object, status: int = 200) -> Response:
    """Return an answer with a view as its body."""
    return Response(views.encode(view), status, media_type="application/json")


def _explained(turn_id: uuid.UUID, status: Status, verdict: Verdict) -> Response:
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

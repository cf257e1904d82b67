"""POST …/signals/{name}, …/cancel, …/resume: each request to a turn becomes one row of the turn's inbox.

The rules of that row: docs/architecture.md, "The inbox". The answers:

| the turn      | signal      | cancel                          | resume         |
|---------------|-------------|---------------------------------|----------------|
| accepted      | 202         | 202                             | 409 not_parked |
| parked        | 202         | 202                             | 202            |
| other, open   | 202         | 202                             | 409 not_parked |
| cancelled     | 409 turn_ended | 200: it is what was asked for | 409 turn_ended |
| other, ended  | 409 turn_ended | 409 turn_ended               | 409 turn_ended |

A repeated request (the same key) gets the answer of the first, whatever state the turn is in by then. While a turn has
SIGNALS_UNREAD_MAX signals (or SIGNALS_UNREAD_SIZE_BYTES_MAX of them) that it has not taken, further ones get 429; so
does what a tenant sends to turns that are not accepted, beyond SIGNALS_EARLY_MAX and SIGNALS_EARLY_SIZE_BYTES_MAX.
"""

import uuid
from typing import Any, Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy import ids
from argosy.gateway import body, json_value, names
from argosy.gateway.access import GuardedRoute, needs, plain_route, principal_of, tenant_of
from argosy.gateway.audited import act_of
from argosy.gateway.limits import named_turn
from argosy.gateway.openapi import answers, content
from argosy.gateway.parameters import strict
from argosy.gateway.problems import Problem
from argosy.gateway.resolve import not_found, partition_of, resolve
from argosy.gateway.state import State, state_of
from argosy.gateway.turn_request import checked_key
from argosy.gateway.views import encode
from argosy.identity.scopes import Scope
from argosy.store import inbox
from argosy.store import turn as turns
from argosy.store.turn import TurnHead
from argosy.turn.inbox import RowKind
from argosy.turn.status import ENDED, Status

_FULL_RETRY_AFTER_S: Final = 1.0  # a worker takes signals as soon as its turn waits for them

router: Final = APIRouter(prefix="/v1/turns", tags=["turns"], dependencies=[strict], route_class=GuardedRoute)


@needs(Scope.SIGNALS_WRITE, minds_limits=True)
async def post_signal(request: Request) -> Response:
    """Deliver a signal to one turn, once. The body (any JSON, null without one) is its payload."""
    state = state_of(request)
    tenant = tenant_of(request)
    if request.scope["query_string"]:
        raise Problem("invalid_parameter", "this address has no parameters")
    requested = await named_turn(request, request.path_params["turn_id"])
    check_rate(state, tenant)
    name = names.signal_name(names.path_segment(request.scope, 4))
    size_bytes_max = state.settings.payload_size_bytes_max
    payload = await body.read(request, size_bytes_max, state.settings.gateway_body_timeout_s) or b"null"
    json_value.check(payload, size_bytes_max, "the payload")
    signal_id = uuid.uuid4()
    key = checked_key(request.headers.get("idempotency-key")) or str(signal_id)
    written = _request(requested, None, _Said(RowKind.SIGNAL, name, key, payload))
    state.poking.new_signal(requested, tenant)
    sent = await _send_signal(state, tenant, written, signal_id)
    if sent is not None:
        state.poking.new_inbox_row(written.bucket, is_urgent=sent.status != Status.SUSPENDED)
        return _answer(202, sent, requested, signal_id=signal_id, name=name)
    # The turn is not accepted yet, is a duplicate or has ended, or the signal was sent before: find out which.
    head = await resolve(state, turns.find_turn, requested, tenant)
    head, sent_id = await _deliver(state, tenant, requested, head, _Said(RowKind.SIGNAL, name, key, payload), signal_id)
    return _answer(202, head, requested, signal_id=sent_id, name=name)


_CANCELLED: Final[dict[int | str, Any]] = {
    200: {"description": "It was cancelled before", "content": content("application/json", "Sent")}
}


@router.post("/{turn_id}/cancel", status_code=202, responses=answers("Sent", 404, 409, 429) | _CANCELLED)
@needs(Scope.TURNS_CANCEL, minds_limits=True)
async def post_cancel(turn_id: str, request: Request) -> Response:
    """Ask for the end of a turn. It ends as `cancelled`, unless it ends in another way first."""
    state = state_of(request)
    tenant = tenant_of(request)
    requested = await named_turn(request, turn_id)
    check_rate(state, tenant)
    head = await resolve(state, turns.find_turn, requested, tenant)
    if head is not None and head.status == Status.CANCELLED:
        return _answer(200, head, requested, cancel_id=None)
    principal = principal_of(request)
    if principal.acts_as:
        await state.identity.audited.note_once(act_of(request, principal, "turn.cancel", target=str(requested)))
    # One row, however often a cancel is asked for: the turn has ended when its worker has taken one.
    head, cancel_id = await _deliver(
        state, tenant, requested, head, _Said(RowKind.CANCEL, "", "cancel", None), uuid.uuid4()
    )
    return _answer(202, head, requested, cancel_id=cancel_id)


@router.post("/{turn_id}/resume", status_code=202, responses=answers("Sent", 404, 409, 422, 429))
@needs(Scope.TURNS_RESUME, minds_limits=True)
async def post_resume(turn_id: str, request: Request) -> Response:
    """Let a parked turn run again: once for an idempotency key; without one, once for each time that it was parked."""
    state = state_of(request)
    tenant = tenant_of(request)
    key = checked_key(request.headers.get("idempotency-key"))
    requested = await named_turn(request, turn_id)
    check_rate(state, tenant)
    head = await resolve(state, turns.find_turn, requested, tenant)
    written = _request(requested, head, _Said(RowKind.RESUME, "", key or f"parked-{head.seq if head else 0}", None))
    if head is not None and head.status == Status.PARKED:
        act = act_of(request, principal_of(request), "turn.resume", target=str(requested))
        await state.identity.audited.note_once(act)
    if head is not None and (head.status == Status.PARKED or head.status in ENDED):
        resume_id = await _send(state, tenant, head, written, uuid.uuid4())
        return _answer(202, head, requested, resume_id=resume_id)
    earlier = await inbox.find_inbox_request(state.pool, written, tenant, state.settings.lane) if key else None
    if earlier is None:
        status = Status.ACCEPTED if head is None else head.status
        raise Problem("not_parked", f"the turn is {status}: only a parked one can be resumed")
    return _answer(202, head, requested, resume_id=earlier.inbox_id)


def check_rate(state: State, tenant: str) -> None:
    """Take one request from the tenant's rate of signals, cancels and resumes. Raises Problem when it is used up."""
    state.limits.check(state.limits.signals, tenant)


class _Said(NamedTuple):
    """What a client sends to a turn. key: the key of the request."""

    kind: RowKind
    name: str
    key: str
    payload: bytes | None


def _request(requested: uuid.UUID, head: TurnHead | None, said: _Said) -> inbox.InboxRequest:
    """Return the row for a turn. head: the turn that the id means; without it the row has no session id."""
    return inbox.InboxRequest(
        turn_id=head.turn_id if head else requested,
        session_id=head.session_id if head else None,
        bucket=ids.turn_bucket(requested),
        kind=said.kind,
        name=said.name,
        request_id=said.key,
        payload=said.payload,
    )


async def _deliver(
    state: State, tenant: str, requested: uuid.UUID, head: TurnHead | None, said: _Said, inbox_id: uuid.UUID
) -> tuple[TurnHead | None, uuid.UUID]:
    """Write the row. Return the turn, or None while it is not accepted, and the id of the row (see `_send`).

    Raises Problem.
    """
    if head is None:
        written = _request(requested, None, said)
        partition = partition_of(state, requested)
        unread, bounds, lane = state.unread_bounds, state.early_bounds, state.settings.lane
        early = await inbox.send_early(state.pool, written, inbox_id, tenant, lane, partition, unread, bounds)
        if early is not None:
            if early.is_tenant_full:
                detail = "too much waits for turns that are not accepted: send again when this one is"
                raise Problem("too_many_signals", detail, retry_after_s=_FULL_RETRY_AFTER_S)
            if early.is_full:
                raise _full(unread)
            return None, _same(early.written, written)
        head = await resolve(state, turns.find_turn, requested, tenant)  # accepted by now, or another tenant's
        if head is None:
            raise not_found(requested)
    return head, await _send(state, tenant, head, _request(requested, head, said), inbox_id)


async def _send(
    state: State, tenant: str, head: TurnHead, written: inbox.InboxRequest, inbox_id: uuid.UUID
) -> uuid.UUID:
    """Write the row for an accepted turn; return its id, or that of the row of an earlier request with the same key.

    Raises Problem when the turn has ended, or has too many rows that it has not taken.
    """
    lane = state.settings.lane
    if head.status in ENDED:
        earlier = await inbox.find_inbox_request(state.pool, written, tenant, lane)
        if earlier is None:
            raise Problem("turn_ended", f"the turn is {head.status}", turn_status=head.status)
        return _same(earlier, written)
    if await _write(state, tenant, written, inbox_id):
        state.poking.new_inbox_row(written.bucket)
        return inbox_id
    earlier = await inbox.find_inbox_request(state.pool, written, tenant, lane)
    if earlier is None and written.kind == RowKind.RESUME:
        raise Problem("too_many_signals", "its worker has not taken earlier ones", retry_after_s=_FULL_RETRY_AFTER_S)
    if earlier is None:
        raise Problem("turn_ended", "the turn has ended, and what was sent to it is gone")
    state.poking.new_inbox_row(written.bucket)
    return _same(earlier, written)


async def _write(state: State, tenant: str, written: inbox.InboxRequest, inbox_id: uuid.UUID) -> bool:
    """Write the row, and return whether it was written. Raises Problem when the turn has too many unread signals.

    False: the request has a row already, the turn has ended meanwhile, or it has too many rows of another kind.
    """
    if written.kind == RowKind.SIGNAL:
        return await _send_signal(state, tenant, written, inbox_id) is not None
    rows_max = state.unread_bounds.rows_max
    return await inbox.insert_inbox(state.pool, written, inbox_id, tenant, state.settings.lane, rows_max)


async def _send_signal(state: State, tenant: str, written: inbox.InboxRequest, inbox_id: uuid.UUID) -> TurnHead | None:
    """Write a signal; return its turn, or None when it was not written (see store.inbox.send_signal).

    Raises Problem when the turn has too many unread signals.
    """
    unread = state.unread_bounds
    sent = await inbox.send_signal(state.pool, written, inbox_id, tenant, state.settings.lane, unread)
    if sent is not None and sent.is_full:
        raise _full(unread)
    return None if sent is None else sent.head


def _full(unread: inbox.UnreadBounds) -> Problem:
    detail = (
        f"a turn may have {unread.rows_max} signals of {unread.size_bytes_max} bytes that it has not taken: "
        "send again when it has taken some"
    )
    return Problem("too_many_signals", detail, retry_after_s=_FULL_RETRY_AFTER_S)


def _same(earlier: inbox.InboxWritten, written: inbox.InboxRequest) -> uuid.UUID:
    is_kept = earlier.payload is not None  # a signal that came too late keeps no payload
    if is_kept and _canonical(earlier.payload) != _canonical(written.payload):
        raise Problem("idempotency_mismatch", "the key was used for this signal with another payload")
    return earlier.inbox_id


def _canonical(payload: bytes | None) -> bytes | None:
    if payload is None:
        return None
    return json_value.canonical(json_value.check(payload, len(payload), "the payload"))


def _answer(status: int, head: TurnHead | None, requested: uuid.UUID, **members: Any) -> Response:
    turn_id = head.turn_id if head else requested
    content = {"turn_id": turn_id, "status": head.status if head else Status.ACCEPTED} | members
    if turn_id != requested:
        content["requested_turn_id"] = requested
    return Response(encode(content), status, media_type="application/json")


# A person may wait for the turn that a signal wakes up: a route without FastAPI is half a millisecond faster.
routes: Final = [plain_route("/v1/turns/{turn_id}/signals/{name}", post_signal, methods=["POST"])]

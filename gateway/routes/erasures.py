"""/v1/erasures: what a tenant asks to be forgotten. The role erase does it (workers/maintenance/erasing.py)."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy import ids
from argosy.erasure import ROLE, ErasureKind, Stage, erasure_id_of, late_words, target_digest
from argosy.gateway import body, json_value, names
from argosy.gateway.access import GuardedRoute, needs, principal_of, tenant_of
from argosy.gateway.audited import act_of
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import Cursor, Limit, microseconds, moment, page_size, strict
from argosy.gateway.problems import Problem
from argosy.gateway.resolve import resolve, turn_id_of
from argosy.gateway.routes.graphs import posted
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import State, state_of
from argosy.gateway.turn_request import checked_key
from argosy.identity.scopes import Scope
from argosy.ingest.job import bucket_of_graph
from argosy.names import is_tenant
from argosy.store import turn as turns
from argosy.store.erasure import (
    ErasureRow,
    Item,
    NewErasure,
    begin_erasure,
    get_deletion,
    get_erasure,
    list_erasures,
    receipts_of,
)
from argosy.store.leader import is_led

router: Final = APIRouter(prefix="/v1/erasures", tags=["erasures"], dependencies=[strict], route_class=GuardedRoute)

_BODY_SIZE_BYTES_MAX: Final = 16_384  # names of 512 characters, as JSON writes any of them
_NOBODY: Final = "no process leads the role erase: start `argosy maintain`"
_BEGIN: Final = (datetime.max.replace(tzinfo=UTC), uuid.UUID(int=2**128 - 1))


class ErasurePosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be forgotten for good. target: the name of a session or graph, or the id of a turn; none of a tenant.
    confirm: the target once more; of a tenant, the tenant's id.
    """

    kind: ErasureKind
    target: str | None = None
    confirm: str = ""


class ReceiptLine(msgspec.Struct, kw_only=True):
    """What was removed where; or what is left there, which goes by itself (until), or which somebody has to see to."""

    where: str
    what: str
    removed: int
    until: datetime | None


class ErasureLinks(msgspec.Struct, kw_only=True):
    self: str


class ErasureView(msgspec.Struct, kw_only=True):
    """An erasure. target: null of a tenant, and once it is done. waits_for: why it does not go on; empty: it does.
    waits_since: since when nothing of that has changed; null: it goes on.
    """

    erasure_id: uuid.UUID
    kind: ErasureKind
    target: str | None
    status: str
    stage: Stage
    waits_for: str
    waits_since: datetime | None
    asked_at: datetime
    ended_at: datetime | None
    receipt: list[ReceiptLine]
    links: ErasureLinks


class ErasurePage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    erasures: list[ErasureView]
    next: str | None


_decoder: Final = msgspec.json.Decoder(ErasurePosted)


@router.post(
    "",
    status_code=202,
    responses=answers("ErasureView", 404, 408, 413, 415, 422, status=202),
    openapi_extra=posted("ErasurePosted"),
)
@needs(Scope.ERASURES_WRITE)
async def post_erasure(request: Request) -> Response:
    """Have a session, a turn, a graph or the whole tenant forgotten, everywhere and for good. The same key again is the
    same erasure.
    """
    state = state_of(request)
    tenant = tenant_of(request)
    key = checked_key(request.headers.get("idempotency-key"))
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    new = await _new(state, tenant, json_value.decode(raw, _decoder, "the body"), key)
    # Not what is to be forgotten: the audit keeps it.
    act = act_of(request, principal_of(request), "erasure.begin", target=f"{new.kind} {new.erasure_id}")
    await begin_erasure(state.pool, new, act)
    row = await _found(state, new.erasure_id, tenant)
    if row.target_digest != new.target_digest:
        raise Problem("idempotency_mismatch", "the key was used before, for the erasure of something else")
    return json_response(await _view(state, row), 202)


@router.get("", responses=answers("ErasurePage"))
@needs(Scope.ERASURES_READ)
async def get_erasures(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Erasures, newest first, with their receipts."""
    state = state_of(request)
    tenant = tenant_of(request)
    list_name = ("erasures", tenant)
    before = _BEGIN
    if cursor is not None:
        at_us, row_id = state.cursors.decode(list_name, cursor, tuple[int, uuid.UUID])
        before = (moment(at_us), row_id)
    size = page_size(limit, state.settings.page_size_max)
    rows = await list_erasures(state.pool, tenant, before=before, limit=size + 1)
    page, last = rows[:size], rows[size - 1] if len(rows) > size else None
    receipts = await receipts_of(state.pool, [row.erasure_id for row in page])
    nobody = await _nobody(state, page)
    return json_response(
        ErasurePage(
            erasures=[_shown(state, row, receipts.get(row.erasure_id, []), nobody) for row in page],
            next=state.cursors.encode(list_name, (microseconds(last.asked_at), last.erasure_id)) if last else None,
        )
    )


@router.get("/{erasure_id}", responses=answers("ErasureView", 404))
@needs(Scope.ERASURES_READ)
async def get_one_erasure(erasure_id: str, request: Request) -> Response:
    """An erasure: how far it is, what it waits for, and its receipt so far."""
    state = state_of(request)
    try:
        asked = uuid.UUID(erasure_id)
    except ValueError:
        raise _not_found() from None
    return json_response(await _view(state, await _found(state, asked, tenant_of(request))))


def erasure_of_tenant(tenant: str, lane: str) -> NewErasure:
    """Return a new erasure of all that a tenant has."""
    digest = target_digest(ErasureKind.TENANT, lane, "")
    return NewErasure(uuid.uuid4(), tenant, lane, ErasureKind.TENANT, None, digest, None, None)


async def deletion_view(state: State, tenant: str) -> ErasureView:
    """Return the erasure by which a tenant of this name was deleted last. Raises Problem."""
    row = await get_deletion(state.pool, tenant) if is_tenant(tenant) else None
    if row is None:
        raise _not_found()
    view = await _view(state, row)
    view.links.self = f"/v1/tenants/{tenant}/erasure"  # its tenant is not there to be asked for
    return view


async def _new(state: State, tenant: str, asked: ErasurePosted, key: str | None) -> NewErasure:
    """Return the erasure that is asked for. Raises Problem."""
    lane, kind, target = state.settings.lane, asked.kind, asked.target
    session_id, bucket = None, None
    if kind is ErasureKind.TENANT:
        if target not in (None, tenant):
            raise Problem("invalid_request", "a tenant can have itself forgotten, and nobody else")
        target = None
    elif target is None:
        raise Problem("invalid_request", f"target: which {kind}")
    elif kind is ErasureKind.SESSION:
        session_id = ids.session_id_of(tenant, lane, names.session_name(target))
        bucket = ids.bucket_of(session_id)
    elif kind is ErasureKind.GRAPH:
        bucket = bucket_of_graph(tenant, names.graph_name(target))
    else:
        turn_id = turn_id_of(target, tenant, lane)
        await resolve(state, turns.find_turn, turn_id, tenant)
        target, bucket = str(turn_id), ids.turn_bucket(turn_id)
    if asked.confirm != (asked.target if kind is not ErasureKind.TENANT else tenant):
        named = "the tenant's id" if kind is ErasureKind.TENANT else "the target"
        raise Problem("unconfirmed", f"confirm is not {named}, which would be lost for good")
    erasure_id = uuid.uuid4() if key is None else erasure_id_of(tenant, key)
    digest = target_digest(kind, lane, target or "")
    return NewErasure(erasure_id, tenant, lane, kind, target, digest, session_id, bucket)


async def _found(state: State, erasure_id: uuid.UUID, tenant: str) -> ErasureRow:
    row = await get_erasure(state.pool, erasure_id, tenant)
    if row is None:
        raise _not_found()
    return row


def _not_found() -> Problem:
    return Problem("erasure_not_found", "there is no such erasure, or it was done so long ago that it is forgotten")


async def _view(state: State, row: ErasureRow) -> ErasureView:
    receipt = (await receipts_of(state.pool, [row.erasure_id])).get(row.erasure_id, [])
    return _shown(state, row, receipt, await _nobody(state, [row]))


async def _nobody(state: State, rows: Sequence[ErasureRow]) -> str:
    """Return what those of these that are not done wait for when nobody does them; empty: somebody does."""
    is_done = all(row.ended_at is not None for row in rows)
    return "" if is_done or await is_led(state.pool, ROLE) else _NOBODY


def _shown(state: State, row: ErasureRow, items: list[Item], nobody: str) -> ErasureView:
    waits_for = "" if row.ended_at is not None else nobody or _waits_for(row, state.settings.erasure_late_s)
    return ErasureView(
        erasure_id=row.erasure_id,
        kind=row.kind,
        target=row.target,
        status="running" if row.ended_at is None else "done",
        stage=row.stage,
        waits_for=waits_for,
        waits_since=row.changed_at if waits_for else None,
        asked_at=row.asked_at,
        ended_at=row.ended_at,
        receipt=[ReceiptLine(where=one, what=what, removed=count, until=until) for one, what, count, until in items],
        links=ErasureLinks(self=f"/v1/erasures/{row.erasure_id}"),
    )


def _waits_for(row: ErasureRow, late_s: float) -> str:
    is_late = row.waits_for and row.quiet_s > late_s
    return late_words(row.stage, row.waits_for, row.changed_at, late_s) if is_late else row.waits_for

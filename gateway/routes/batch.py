"""POST /v1/turns:batch: many turns, one per line (NDJSON), and one line of answer for each, in the same order.

The route reads the whole body before it appends the first turn: it refuses a body over its bound as a whole, and a
client that writes everything before it reads cannot block itself.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from argosy.gateway import body, json_value
from argosy.gateway.access import needs, plain_route, principal_of, tenant_of
from argosy.gateway.enqueue import Accepted
from argosy.gateway.limits import fault_of_names
from argosy.gateway.problems import Problem
from argosy.gateway.routes.enqueue import ENVELOPE_SIZE_BYTES_MAX, trace_headers
from argosy.gateway.state import State, state_of
from argosy.gateway.turn_request import Admitted, checked_key, line_decoder
from argosy.identity.principal import Principal
from argosy.identity.scopes import Scope
from argosy.seal.codec import Sealer

CHUNK_TURNS_MAX: Final = 1_000  # in one append: the first answers go out while the rest is checked
MEDIA_TYPE: Final = "application/x-ndjson"
_MEDIA_TYPES: Final = (MEDIA_TYPE, "application/ndjson", "application/jsonl", "application/json")


class _OfAll(NamedTuple):
    """What all turns of a batch have in common. created_by: what is recorded of the principal."""

    principal: Principal
    created_by: bytes
    headers: tuple[tuple[str, bytes], ...]
    sealer: Sealer | None


@needs(Scope.TURNS_WRITE, minds_limits=True)
async def post_batch(request: Request) -> Response:
    """Answer 200 and a line per turn: `{"status": 202, "turn_id": ...}` or a problem."""
    state = state_of(request)
    tenant = tenant_of(request)
    if request.scope["query_string"]:
        raise Problem("invalid_parameter", "this address has no parameters")
    raw = await body.read(
        request, state.settings.batch_size_bytes_max, state.settings.gateway_body_timeout_s, _MEDIA_TYPES
    )
    lines = [line for line in raw.split(b"\n") if line and not line.isspace()]
    if len(lines) > state.settings.batch_turns_max:
        detail = f"the batch has {len(lines)} turns, the bound is {state.settings.batch_turns_max}"
        raise Problem("payload_too_large", detail)
    await state.enqueue.check_log()
    principal, sealer = principal_of(request), await state.enqueue.sealer(tenant)
    of_all = _OfAll(principal, state.admission.created_by(principal), trace_headers(request), sealer)
    answers = _answers(state, tenant, of_all, lines)
    return StreamingResponse(answers, media_type=MEDIA_TYPE)


async def _answers(state: State, tenant: str, of_all: _OfAll, lines: list[bytes]) -> AsyncIterator[bytes]:
    asked_s = state.clock.monotonic_s()
    for begin in range(0, len(lines), CHUNK_TURNS_MAX):
        chunk = lines[begin : begin + CHUNK_TURNS_MAX]
        checked = [await _admit(state, tenant, of_all, line, asked_s) for line in chunk]
        admitted = [one for one in checked if not isinstance(one, Problem)]
        granted = state.limits.turns.take(tenant, len(admitted))
        results = iter(await state.enqueue.enqueue(tenant, admitted[:granted]))
        refused = partial(state.limits.refusal, state.limits.turns, tenant)
        yield b"".join(_line(one if isinstance(one, Problem) else next(results, None) or refused()) for one in checked)


async def _admit(state: State, tenant: str, of_all: _OfAll, line: bytes, asked_s: float) -> Admitted | Problem:
    """Return the checked turn of a line, or a Problem.

    asked_s: when the batch came, by the clock. However many unknown workflows it names, one read looks for them.
    """
    try:
        if len(line) > state.settings.payload_size_bytes_max + ENVELOPE_SIZE_BYTES_MAX:
            return Problem("payload_too_large", f"the line has {len(line)} bytes")
        posted = json_value.decode(line, line_decoder, "the line")
        problem = fault_of_names(of_all.principal, posted.session, posted.workflow)
        if problem is not None:
            return problem
        key, created_by = checked_key(posted.idempotency_key), of_all.created_by
        turn = state.admission.admit(tenant, posted.session, posted, key, of_all.headers, created_by, of_all.sealer)
        await state.enqueue.check_workflow(posted.workflow, asked_s)
    except Problem as problem:
        return problem
    return turn


def _line(result: Accepted | Problem) -> bytes:
    if isinstance(result, Problem):
        return msgspec.json.encode(result.body()) + b"\n"
    return b'{"status":202,"turn_id":"%b"}\n' % result.turn_id.encode()


routes: Final = [plain_route("/v1/turns:batch", post_batch, methods=["POST"])]

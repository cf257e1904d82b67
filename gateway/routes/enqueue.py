"""POST /v1/sessions/{session}/turns: one turn into the log. The hot path: no pydantic, no SQL, no log line."""

import re
import uuid
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway import body, json_value, names
from argosy.gateway.access import needs, plain_route, principal_of, tenant_of
from argosy.gateway.limits import check_names
from argosy.gateway.problems import Problem
from argosy.gateway.routes.turns import read_turn, wait_for_end
from argosy.gateway.state import State, state_of
from argosy.gateway.turn_request import checked_key, posted_decoder
from argosy.gateway.views import encode
from argosy.identity.scopes import Scope
from argosy.names import traceparent

# The body is the input and at most this much around it.
ENVELOPE_SIZE_BYTES_MAX: Final = 65_536

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?:$|[,;\s])", re.IGNORECASE)


@needs(Scope.TURNS_WRITE, minds_limits=True)
async def post_turn(request: Request) -> Response:
    """Post a turn: 202 when the log has it; 200 when it ended within the time of `Prefer: wait`."""
    state = state_of(request)
    tenant = tenant_of(request)
    settings = state.settings
    size_bytes_max = settings.payload_size_bytes_max + ENVELOPE_SIZE_BYTES_MAX
    raw = await body.read(request, size_bytes_max, settings.gateway_body_timeout_s)
    posted = json_value.decode(raw, posted_decoder, "the body")
    session = names.path_segment(request.scope, 2)
    check_names(request, session, posted.workflow)
    turn = state.admission.admit(
        tenant,
        session,
        posted,
        checked_key(request.headers.get("idempotency-key")),
        trace_headers(request),
        state.admission.created_by(principal_of(request)),
        await state.enqueue.sealer(tenant),
    )
    if request.scope["query_string"]:
        raise Problem("invalid_parameter", "this address has no parameters")
    await state.enqueue.check_workflow(posted.workflow, state.clock.monotonic_s())
    await state.enqueue.check_log()
    state.limits.check(state.limits.turns, tenant)
    (result,) = await state.enqueue.enqueue(tenant, [turn])
    if isinstance(result, Problem):
        raise result
    wait_s = min(_wait_s(request), state.settings.wait_s_max)
    if wait_s > 0:
        ended = await _wait(request, state, uuid.UUID(result.turn_id), tenant, wait_s)
        if ended is not None:
            return ended
    return _accepted(result.turn_id, turn.session)


def trace_headers(request: Request) -> tuple[tuple[str, bytes], ...]:
    """Return the client's trace context as headers of the record; none when it is not valid."""
    given = request.headers.get("traceparent")
    trace = traceparent(given.encode("latin-1")) if given else None
    return (("traceparent", trace),) if trace else ()


def _accepted(turn_id: str, session: str) -> Response:
    url = f"/v1/turns/{turn_id}"
    content = {
        "turn_id": turn_id,
        "session": session,
        "status": "accepted",
        "links": {"self": url, "events": f"{url}/events", "explain": f"{url}/explain", "cancel": f"{url}/cancel"},
    }
    return Response(encode(content), 202, {"Location": url}, "application/json")


def _wait_s(request: Request) -> float:
    """Return the seconds of `Prefer: wait=N`, or 0 (RFC 7240: a preference that is not understood is ignored)."""
    found = _WAIT.search(", ".join(request.headers.getlist("prefer")))
    return float(found[1]) if found else 0.0


async def _wait(request: Request, state: State, turn_id: uuid.UUID, tenant: str, wait_s: float) -> Response | None:
    """Return the answer with the ended turn, or None when the turn did not end in time or the client is gone."""
    if not await wait_for_end(request, state, turn_id, tenant, wait_s, is_accepted=True):
        return None
    content = encode(await read_turn(state, turn_id, tenant))
    return Response(content, 200, {"Preference-Applied": f"wait={wait_s:g}"}, "application/json")


routes: Final = [plain_route("/v1/sessions/{session}/turns", post_turn, methods=["POST"])]

"""POST /v1/turns:resume: resume many parked turns. Each of them gets the row that POST …/resume writes (inbox.py).

One call resumes `limit` turns at the most and says whether there are more. An idempotency key names a sweep: under the
same key a turn is resumed once, however often the call is repeated, even if the turn is parked again meanwhile. Without
a key a turn is resumed once for each time that it was parked.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.access import GuardedRoute, needs, principal_of, tenant_of
from argosy.gateway.audited import act_of
from argosy.gateway.openapi import Resumed, answers
from argosy.gateway.parameters import NO_NUL_PATTERN, strict
from argosy.gateway.routes.inbox import check_rate
from argosy.gateway.state import state_of
from argosy.gateway.turn_request import checked_key
from argosy.gateway.views import encode
from argosy.identity.scopes import Scope
from argosy.store import inbox

router: Final = APIRouter(prefix="/v1", tags=["turns"], dependencies=[strict], route_class=GuardedRoute)

TURNS_MAX: Final = 1_000  # of the contract: the OpenAPI document has it, and a call that asks for more is refused

_Text = Annotated[str | None, Query(min_length=1, max_length=256, pattern=NO_NUL_PATTERN)]


@router.post("/turns:resume", status_code=202, responses=answers("Resumed", 429))
@needs(Scope.TURNS_RESUME)
async def post_resume_all(
    request: Request,
    reason: _Text = None,
    workflow: _Text = None,
    limit: Annotated[int, Query(ge=1, le=TURNS_MAX)] = TURNS_MAX,
) -> Response:
    """Resume parked turns: those parked for this reason, of this workflow. Repeat the call while has_more is true."""
    state = state_of(request)
    tenant = tenant_of(request)
    key = checked_key(request.headers.get("idempotency-key"))
    check_rate(state, tenant)
    told = " ".join(f"{name}={value}" for name, value in (("reason", reason), ("workflow", workflow)) if value)
    await state.identity.audited.note_once(act_of(request, principal_of(request), "turns.resume", target=told))
    done = await inbox.resume_parked(
        state.pool, tenant, state.settings.lane, reason=reason, workflow=workflow, key=key or None, limit=limit
    )
    for bucket in done.buckets:
        state.poking.new_inbox_row(bucket)
    return Response(encode(Resumed(resumed=done.resumed, has_more=done.has_more)), 202, media_type="application/json")

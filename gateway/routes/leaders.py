"""GET /v1/fleet/leaders: which process leads each maintenance role."""

import uuid
from datetime import datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.access import GuardedRoute, needs_anywhere
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import strict
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.identity.scopes import Scope
from argosy.store.leader import LeaderSeen, list_leaders

router: Final = APIRouter(prefix="/v1", tags=["fleet"], dependencies=[strict], route_class=GuardedRoute)


class Leader(msgspec.Struct, kw_only=True):
    """The leader of a role. leads: its process holds the lock of the role now; otherwise it is gone, and no process has
    come after it yet. term: in decimal digits, because it is too large for what reads numbers as floats. ticked_at:
    null before the first tick of the term; outcome: the last tick's result, in words.
    """

    role: str
    term: str
    worker_id: uuid.UUID
    host: str
    pid: int
    since: datetime
    ticked_at: datetime | None
    outcome: str
    leads: bool


class LeaderList(msgspec.Struct, kw_only=True):
    leaders: list[Leader]


@router.get("/fleet/leaders", responses=answers("LeaderList", 403))
@needs_anywhere(Scope.LEADERS_READ, minds_limits=True)
async def get_leaders(request: Request) -> Response:
    """Every role that was ever led: its leader, term and last tick. For operators."""
    state = state_of(request)
    return json_response(LeaderList(leaders=[_shown(each) for each in await list_leaders(state.pool)]))


def _shown(row: LeaderSeen) -> Leader:
    facts = row._asdict()
    return Leader(leads=facts.pop("is_held"), term=str(facts.pop("term")), **facts)

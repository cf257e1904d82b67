"""Credentials that are limited to some sessions, or to some workflows: what they may name, and find.

A name that the client gives is refused with 403: it tells nothing. A turn's id may be that of any session's turn, so it
is answered as if there were no such turn, after as many questions to Postgres.
"""

import uuid
from typing import Final

from starlette.requests import Request

from argosy.gateway.access import principal_of, tenant_of
from argosy.gateway.problems import Problem
from argosy.gateway.resolve import is_expected, not_found, resolve, turn_id_of
from argosy.gateway.state import State, state_of
from argosy.identity.principal import Principal
from argosy.identity.scopes import Scope
from argosy.store import session as sessions
from argosy.store import turn as turns

# A turn that was posted a moment ago has no session here yet.
_ACCEPTED_WITHIN_S: Final = 2.0
_INTERVAL_S: Final = 0.1


def fault_of_names(principal: Principal, session: str, workflow: str | None = None) -> Problem | None:
    """Return the problem of a session, or a workflow, that the principal's credential is not for; or None."""
    if not principal.may_see(session):
        scope = Scope.SESSIONS_READ if workflow is None else Scope.TURNS_WRITE
        return Problem("insufficient_scope", "the token is for other sessions", scope=scope)
    if workflow is not None and not principal.may_run(workflow):
        return Problem("insufficient_scope", "the token is for other workflows", scope=Scope.TURNS_WRITE)
    return None


def check_names(request: Request, session: str, workflow: str | None = None) -> None:
    """Raise Problem unless the credential of a request is for this session, and this workflow."""
    principal = principal_of(request)
    problem = fault_of_names(principal, session, workflow)
    if problem is not None:
        state_of(request).identity.audited.refused(request.scope, problem.code, principal)
        raise problem


async def named_turn(request: Request, text: str) -> uuid.UUID:
    """Return the id of the turn that an address names. Raises Problem when it cannot be that of a turn that the
    credential is for.

    For a credential that is limited to sessions the turn must have been accepted: before that its session is not known
    here. It is waited for.
    """
    state = state_of(request)
    tenant, principal = tenant_of(request), principal_of(request)
    turn_id = turn_id_of(text, tenant, state.settings.lane)
    if principal.sessions is not None:
        await _check_turn(state, principal, tenant, turn_id)
    return turn_id


async def is_turn_seen(state: State, principal: Principal, tenant: str, session_id: uuid.UUID) -> bool:
    """Whether the credential is for the session of a turn."""
    if principal.sessions is None:
        return True
    session = await sessions.get_session(state.pool, session_id, tenant, state.settings.lane)
    return session is not None and principal.may_see(session.name)


async def _check_turn(state: State, principal: Principal, tenant: str, turn_id: uuid.UUID) -> None:
    until_s = state.clock.monotonic_s() + _ACCEPTED_WITHIN_S
    head = await resolve(state, turns.find_turn, turn_id, tenant)
    while head is None and state.clock.monotonic_s() < until_s:
        await state.clock.sleep(_INTERVAL_S)
        head = await resolve(state, turns.find_turn, turn_id, tenant)
    if head is None:
        raise not_found(turn_id)  # the same words as for what is hidden
    if not await is_turn_seen(state, principal, tenant, head.session_id):
        await is_expected(state, turn_id, tenant)
        raise not_found(turn_id)

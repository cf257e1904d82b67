"""What requests about graphs have in common: no unknown parameters, and one call of the tenant's rate each."""

from typing import Any, Final

from fastapi import Depends
from starlette.requests import Request

from argosy.gateway.access import tenant_of
from argosy.gateway.parameters import strict
from argosy.gateway.state import state_of


async def _counted(request: Request) -> None:
    state = state_of(request)
    state.limits.check(state.limits.graph_calls, tenant_of(request))


GRAPH_CALL: Final[list[Any]] = [strict, Depends(_counted)]

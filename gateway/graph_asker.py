"""Who asks a graph: the principal of a request, as shards are told of it; and what it may do, where that must be known
before a shard is asked to do anything. Shards decide (argosy/shards/guarded.py), and say so where they are not asked to
do it (argosy/graph/permission.py): here nothing is let through that they would refuse.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from starlette.requests import Request

from argosy.errors import ArgosyError, GraphNotFoundError
from argosy.gateway.access import principal_of
from argosy.gateway.state import state_of
from argosy.graph.acl import Right
from argosy.graph.asker import Asker, principal_asker
from argosy.graph.bound import BoundGraph
from argosy.graph.permission import check_permitted
from argosy.graph.sealed_refusals import check_takes_lines
from argosy.identity.scopes import Scope
from argosy.store.graph import GraphRow

_ASKED_AT_ONCE: Final = 16  # graphs of a page that are asked who may read them


def asker_of(request: Request) -> Asker:
    """Return who asks. Not for routes that are open to all."""
    principal = principal_of(request)
    return principal_asker(principal.known_as, principal.roles, is_admin=Scope.GRAPHS_ADMIN in principal.scopes)


def bound_graph(request: Request, tenant: str, name: str) -> BoundGraph:
    """Return a graph of a tenant, as whoever asks has it."""
    return state_of(request).graphs.of(tenant, name, asker=asker_of(request))


async def check_right(request: Request, tenant: str, name: str, right: Right) -> None:
    """Raise GraphForbiddenError where the graph's shard enforces lists and whoever asks has not this right to it; and
    what BoundGraph raises when the graph cannot be asked.
    """
    graph, is_known = bound_graph(request, tenant, name), state_of(request).graphs.are_askers_known
    await check_permitted(graph, name, asker_of(request), right, is_known=is_known)


async def created_for_upload(request: Request, tenant: str, name: str) -> GraphRow:
    """Return the graph of this name, which is made unless it is there, for lines that are uploaded to it. The fleet
    applies these, and no list of a node is asked: so whoever uploads has to be an administrator of the graph.
    """
    row = await state_of(request).graphs.create(tenant, name, asker=asker_of(request))
    await check_right(request, tenant, name, Right.ADMIN)
    check_takes_lines(name, is_sealed=row.is_sealed)
    return row


async def check_existing(request: Request, tenant: str, name: str, right: Right) -> None:
    """Do as `check_right`, and let pass where there is no graph of this name."""
    with suppress(GraphNotFoundError):
        await check_right(request, tenant, name, right)


async def readable(request: Request, rows: Sequence[GraphRow]) -> list[GraphRow]:
    """Return those graphs of a page that whoever asks may read. What cannot be asked now is left out."""
    if not state_of(request).graphs.are_guarded or asker_of(request).is_admin:
        return list(rows)
    places = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def may_read(row: GraphRow) -> bool:
        async with places:
            try:
                access = await bound_graph(request, row.tenant, row.graph).get_acl()
            except ArgosyError:
                return False
        return Right.READ in access.rights

    allowed = await asyncio.gather(*map(may_read, rows))
    return [row for row, is_allowed in zip(rows, allowed, strict=True) if is_allowed]

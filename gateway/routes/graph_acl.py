"""/v1/graphs/{graph}/acl: who may read, write and administer a graph (argosy/graph/acl.py).

A list can be set before anything enforces it: then, and where a graph has none, the scope graphs:admin is needed. Where
lists are enforced, the graph's own administrators may, too.
"""

from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway import body, json_value
from argosy.gateway.access import GuardedRoute, lacking, needs, principal_of, tenant_of
from argosy.gateway.audited import act_of
from argosy.gateway.graph_asker import bound_graph, check_right
from argosy.gateway.openapi import answers
from argosy.gateway.routes.graphs import ASKED, name_of, posted
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.gateway.tenant_limits.graph_call import GRAPH_CALL
from argosy.graph.acl import GraphAccess, GraphAcl, Right, check_labels
from argosy.identity.scopes import Scope

router: Final = APIRouter(
    prefix="/v1/graphs/{graph}/acl", tags=["graphs"], dependencies=GRAPH_CALL, route_class=GuardedRoute
)

_BODY_SIZE_BYTES_MAX: Final = 1_048_576  # the longest list there may be, with every character escaped


class AclPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A graph's access control list: labels by what they may do; null: none."""

    acl: GraphAcl | None


class AclView(msgspec.Struct, kw_only=True):
    """A graph's access control list, null where there is none; and what whoever asks may do with the graph."""

    acl: GraphAcl | None
    rights: list[Right]


_decoder: Final = msgspec.json.Decoder(AclPosted)


@router.get("", responses=answers("AclView", *ASKED))
@needs(Scope.GRAPHS_READ)
async def get_graph_acl(graph: str, request: Request) -> Response:
    """Who may do what with a graph. Its list is shown to its administrators alone, and rights to everybody."""
    access = await bound_graph(request, tenant_of(request), name_of(request)).get_acl()
    is_shown = state_of(request).graphs.are_guarded or Scope.GRAPHS_ADMIN in principal_of(request).scopes
    return json_response(_shown(access if is_shown else access._replace(acl=None)))


@router.put("", responses=answers("AclView", 408, 413, 415, *ASKED), openapi_extra=posted("AclPosted"))
@needs(Scope.GRAPHS_WRITE)
async def set_graph_acl(graph: str, request: Request) -> Response:
    """Say who may do what with a graph."""
    state = state_of(request)
    tenant, name, principal = tenant_of(request), name_of(request), principal_of(request)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    acl = json_value.decode(raw, _decoder, "the body").acl
    if acl is not None:
        check_labels(acl)
    if not state.graphs.are_guarded and Scope.GRAPHS_ADMIN not in principal.scopes:
        raise lacking(Scope.GRAPHS_ADMIN)
    await check_right(request, tenant, name, Right.ADMIN)
    found = bound_graph(request, tenant, name)
    await found.get_acl()  # that the graph is not there is no act
    # The list is in the graph's file, and the audit in Postgres: it is written down before it is done, never after.
    await state.identity.audited.note(act_of(request, principal, "graph.acl", target=name))
    await found.set_acl(acl)
    return json_response(_shown(await found.get_acl()))


def _shown(access: GraphAccess) -> AclView:
    return AclView(acl=access.acl, rights=sorted(access.rights))

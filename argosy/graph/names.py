"""Rules for the names of graphs, beside those of all names in graphs (argosy/graph/ops.py). Pure.

- No graph is made as `.` or `..`, which no address can hold.
- Names that begin with `session:` are those of sessions' own graphs. Nobody else makes one: it would be taken for the
  session's memory, and would not go with the session.
- One that is there nevertheless can be asked and dropped by its name, whatever that is.
"""

import uuid
from typing import Final

from argosy.errors import GraphNameError
from argosy.graph import ops
from argosy.graph.facts import GraphName
from argosy.ids import session_id_of
from argosy.names import VANISHING

_OWN: Final = "session:"


def checked(tenant: str, graph: str) -> GraphName:
    """Return the name. Raises GraphNameError when no graph can have it."""
    for what, name in (("tenant", tenant), ("graph", graph)):
        if fault := ops.fault_of_name(name):
            raise GraphNameError(f"the name of a {what} {fault}")
    return GraphName(tenant, graph)


def checked_new(tenant: str, graph: str) -> GraphName:
    """Return the name of a graph that may have to be made. Raises GraphNameError."""
    if fault := fault_of_new(graph):
        raise GraphNameError(f"the name of a graph {fault}")
    return checked(tenant, graph)


def fault_of_new(graph: str) -> str:
    """Return why no graph is made with this name, as the end of a sentence "a name …"; empty when one may be."""
    if graph in VANISHING:
        return f"must not be {graph!r}: no URL can hold it"
    return ops.fault_of_name(graph)


def own_graph_of(lane: str, session: str) -> str:
    """Return the name of a session's own graph. Names of lanes have no slash, so no two sessions have one name."""
    return f"{_OWN}{lane}/{session}"


def is_own(graph: str) -> bool:
    """Whether only a session has a graph of this name made, as its own."""
    return graph.startswith(_OWN)


def owner_of(tenant: str, graph: str) -> uuid.UUID | None:
    """Return the id of the session whose own graph this is; None when it is none's."""
    lane, slash, session = graph.removeprefix(_OWN).partition("/")
    return session_id_of(tenant, lane, session) if is_own(graph) and slash else None

"""Rules for the names of graphs, beside those of all names in graphs (argosy/graph/ops.py). Pure."""

from argosy.errors import GraphInputError
from argosy.graph import ops
from argosy.graph.facts import GraphName


def checked(tenant: str, graph: str) -> GraphName:
    """Return the name. Raises GraphInputError when no graph can have it."""
    for what, name in (("tenant", tenant), ("graph", graph)):
        if fault := ops.fault_of_name(name):
            raise GraphInputError(f"the name of a {what} {fault}")
    return GraphName(tenant, graph)

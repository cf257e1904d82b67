"""The contract of a view: what answers Cypher about one graph, in memory, made of what the graph's file has.

Rules, which one conformance suite holds every adapter to (tests/shards/test_view.py):
- A query sees every batch up to the version that it asks for.
- A view reads no file, opens no connection and has no secret. It is ended when it takes more memory or time than it
  may: a query error, and the next query builds it again. The file is never concerned.
- A query reads: one with a clause that writes, or that reads files, is refused before it runs.
- Nodes look as the operations have them: n.id, their label, and their props by name; integers of 64 bits survive.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

from argosy.graph.facts import Answer, Edge, Node
from argosy.graph.ops import Op

# What can be done with a graph that is too large for a view, for messages.
ASK_INSTEAD: Final = "search it, or ask for nodes and their neighbors, which needs no view"

# What every view takes, and at most what the settings GRAPH_QUERY_SIZE_BYTES_MAX and GRAPH_PARAMS_SIZE_BYTES_MAX let
# through to one.
CYPHER_SIZE_BYTES_MAX: Final = 65_536  # somebody wrote it; data come as parameters
PARAMS_SIZE_BYTES_MAX: Final = 1_048_576  # as JSON: as much as the props of one node may have


class View(Protocol):
    """The view of one graph. Used on one event loop."""

    version: int

    async def build(self, version: int, facts: AsyncIterator[Sequence[Node | Edge]]) -> None:
        """Be the graph at this version: all of its nodes, then all of its edges. Raises GraphTooLargeError when that
        needs more memory than a view may take, ViewLostError.
        """

    async def apply(self, ops: Sequence[Op], version: int) -> None:
        """Take in what was committed, in order; conditions held. What was built may have some of it already, or lack
        the other end of an edge, because later batches were read with it.
        """

    async def query(
        self, cypher: str, params: dict[str, Any], *, timeout_s: float, row_limit: int, size_bytes_max: int
    ) -> Answer:
        """Answer a query with as many rows as the bounds let through. Raises CypherError (with the position, if it is
        known), GraphTooLargeError for a query, parameters or a single row that are over their bound, and for a query
        that takes more memory than there is, GraphDeadlineError, ViewLostError.
        """

    async def idle(self) -> None:
        """Return once it works at no query, nor at one whose caller has left."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, so that every call raises ViewLostError."""

    async def close(self) -> None:
        """End it; what is asked of it at this moment raises ViewLostError."""


class ViewMaker(Protocol):
    """Makes views of one kind."""

    def make(self) -> View:
        """Return a view that has to be built. It takes no memory and no process before that."""

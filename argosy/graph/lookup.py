"""Where a graph is: what the directory in Postgres says, and what is remembered of that.

Rules:
- A row is remembered for GRAPH_CACHE_S. While Postgres is away a remembered row goes on being used: it may be old
  without harm (argosy/graph/graphs.py).
- While Postgres is away nobody knows that a life is over: who looks for another life than the remembered one may look
  again (StoreUnavailableError).
- A row whose creation was cut off is carried on.
"""

import uuid
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import GraphNotFoundError, StoreUnavailableError
from argosy.graph.facts import GraphName
from argosy.graph.lives import Lives
from argosy.graph.members import NO_SHARDS, Members
from argosy.graph.names import checked
from argosy.graph.row_cache import RowCache
from argosy.store.graph import Directory, GraphRow, GraphRowState

_IN_MEMORY: Final = telemetry.GRAPH_LOOKUPS.labels(where="memory")
_IN_POSTGRES: Final = telemetry.GRAPH_LOOKUPS.labels(where="postgres")


class Lookup:
    """The rows of graphs that can be asked."""

    def __init__(self, directory: Directory, members: Members, lives: Lives, settings: Settings, clock: Clock) -> None:
        self._directory = directory
        self._members = members
        self._lives = lives
        self._rows = RowCache(settings.graph_cache_max, settings.graph_cache_s)
        self._clock = clock

    async def find(self, name: GraphName, until_s: float, incarnation: uuid.UUID | None = None) -> GraphRow:
        """Return the graph's row, a remembered one if there is one. Raises GraphNotFoundError, also when the graph is
        of another incarnation than this, and GraphInputError.
        """
        row = self._rows.fresh(name, self._clock.monotonic_s())
        if row is None or incarnation not in (None, row.incarnation):
            return await self.read(name, until_s, incarnation)
        _IN_MEMORY.inc()
        return row

    async def read(self, name: GraphName, until_s: float, incarnation: uuid.UUID | None = None) -> GraphRow:
        """Return the graph's row from Postgres; while that is away, the remembered one, however old. Raises as `find`,
        and StoreUnavailableError when none of this incarnation is remembered.
        """
        _IN_POSTGRES.inc()
        try:
            row = await self._directory.find(*checked(*name))
            if row is not None and row.state is GraphRowState.CREATING:
                row = await self._lives.begin(row, until_s)
        except StoreUnavailableError:
            known = self._rows.any(name)
            if known is None or incarnation not in (None, known.incarnation):
                raise
            return known
        if row is None or row.state is not GraphRowState.ACTIVE:
            self.forget(name)
            raise await self._absent(name)
        if incarnation not in (None, self.keep(row).incarnation):
            raise not_found(name)
        return row

    def keep(self, row: GraphRow) -> GraphRow:
        """Remember the row, and return it."""
        self._rows.put(row, self._clock.monotonic_s())
        return row

    def forget(self, name: GraphName) -> None:
        self._rows.forget(name)

    async def _absent(self, name: GraphName) -> GraphNotFoundError:
        """Return the error for a graph that is not there; it says so where none can be."""
        if self._members.are_none:
            await self._members.refresh()
        return GraphNotFoundError(f"{not_found(name)}, and {NO_SHARDS}") if self._members.are_none else not_found(name)


def not_found(name: GraphName) -> GraphNotFoundError:
    return GraphNotFoundError(f"there is no graph {name.graph!r}")

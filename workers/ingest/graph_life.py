"""Whether a graph that nobody finds is only away, is gone, or is to be made again.

A job's row is younger than its graph's. So, of a record whose graph has no row:
- Its job has a row: the graph was dropped. So it was when another life has the name, or its row says that it is
  dropped. The row of a job that was erased has no tenant, and has ended.
- Its job has none: the database went back to before both, and the log did not. The graph is made again, in the life
  that the record names; what else was lost with it comes again with the records. It was dropped before, when its shard
  says so. When its shard has another life of the name, of which the database does not know either, nobody can tell
  which of them is the older one: the records wait for an operator (`argosy shards orphans`).
"""

from contextlib import suppress
from enum import Enum

import structlog

from argosy import telemetry
from argosy.errors import GraphNotFoundError, GraphTakenError
from argosy.graph.graphs import Graphs
from argosy.store.graph import Directory, GraphRowState
from argosy.store.ingest import Jobs
from argosy.workers.ingest.feed import Feed

log = structlog.get_logger()


class Life(Enum):
    AWAY = "away"  # it is there, or on its way
    GONE = "gone"
    MADE = "made"  # again, just now


class GraphLives:
    """The lives of graphs, as their records ask for them."""

    def __init__(self, directory: Directory, graphs: Graphs, jobs: Jobs) -> None:
        self._directory = directory
        self._graphs = graphs
        self._jobs = jobs

    async def look(self, feed: Feed) -> Life:
        """Say what has become of the feed's graph. Raises UnavailableError."""
        row = await self._directory.find(feed.tenant, feed.graph)
        if row is not None:
            is_it = row.incarnation == feed.incarnation and row.state is not GraphRowState.DROPPING
            return Life.AWAY if is_it else Life.GONE
        if await self._jobs.find(feed.job_id, feed.tenant) is not None or await self._jobs.ended([feed.job_id]):
            return Life.GONE
        try:
            made = await self._graphs.create(feed.tenant, feed.graph, incarnation=feed.incarnation, is_sealed=False)
        except GraphTakenError as error:
            if not error.is_dropped:
                raise  # what is in its place may be older than it: nobody but an operator can tell
            # Its shard has dropped this life: the row that was made for it would keep its name from others.
            with suppress(GraphNotFoundError):
                await self._graphs.drop(feed.tenant, feed.graph, feed.incarnation)
            return Life.GONE
        if made.incarnation != feed.incarnation:  # somebody else was faster, with another one
            return Life.GONE
        log.warning(
            telemetry.INGEST_GRAPH_MADE_AGAIN, tenant=feed.tenant, graph=feed.graph, incarnation=str(feed.incarnation)
        )
        return Life.MADE

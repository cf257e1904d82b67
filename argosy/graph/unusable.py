"""Says for operators, once in a while, which graphs cannot be asked until somebody acts: whoever asks is told less."""

from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import GraphFileError, GraphMissingError
from argosy.graph.facts import GraphName, Member
from argosy.graph.row_cache import RowCache
from argosy.store.graph import GraphRow

log = structlog.get_logger()

_SAID_S: Final = 60.0  # how often it is said of a graph


class Unusable:
    """The graphs of which it was said. graphs_max: so many are remembered."""

    def __init__(self, graphs_max: int, clock: Clock) -> None:
        self._said = RowCache(graphs_max, _SAID_S)
        self._clock = clock

    def say(self, row: GraphRow, member: Member, error: GraphFileError | GraphMissingError) -> None:
        """Log that the graph's file cannot be used, or is not there, unless that was said just now."""
        now_s = self._clock.monotonic_s()
        if self._said.fresh(GraphName(row.tenant, row.graph), now_s) is not None:
            return
        self._said.put(row, now_s)
        log.error(
            telemetry.GRAPH_FILE_UNUSABLE,
            tenant=row.tenant,
            graph=row.graph,
            incarnation=str(row.incarnation),
            endpoint=member.endpoint,
            error=str(error),
            consequence="whoever asks for the graph gets 503, and turns that need it wait, until its file is restored "
            "or the graph is dropped",
        )

"""Queries whose view ended while it answered them, and nobody knows whether for them: others ran beside them, or the
kernel killed it because the machine lacked memory. Callers ask again after every lost view, and a query that needs more
memory than there is would end them all. So the third time in a row it is refused for good.

A query beside such a one is counted as well; its next answer clears it.
"""

from collections import OrderedDict
from typing import Final

from argosy.graph.facts import GraphName

_IN_A_ROW: Final = 3  # once or twice it was perhaps beside such a query
_MAX: Final = 1_000  # that are remembered: one that is forgotten is counted anew


class LostQueries:
    """Counts how often in a row a query lost its view, by graph and text."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[GraphName, int], int] = OrderedDict()

    def lost(self, name: GraphName, cypher: str) -> bool:
        """Note that a query lost its view. Returns whether it is to be refused for that."""
        key = (name, hash(cypher))
        count = self._counts.pop(key, 0) + 1
        if count >= _IN_A_ROW:
            return True
        self._counts[key] = count
        if len(self._counts) > _MAX:
            self._counts.popitem(last=False)
        return False

    def answered(self, name: GraphName, cypher: str) -> None:
        if self._counts:
            self._counts.pop((name, hash(cypher)), None)

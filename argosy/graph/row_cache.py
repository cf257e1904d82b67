"""The directory's rows that a process remembers: so many at the most, those that were used last.

Pure: the time is a parameter. A row may be old without harm: every call carries incarnation and generation, and the
shard's own file has the last word.
"""

from collections import OrderedDict

from argosy.graph.facts import GraphName
from argosy.store.graph import GraphRow


class RowCache:
    """The rows of the directory that were used last. max_age_s: at that age a row is read again."""

    def __init__(self, rows_max: int, max_age_s: float) -> None:
        self._rows_max = rows_max
        self._max_age_s = max_age_s
        self._rows: OrderedDict[GraphName, tuple[GraphRow, float]] = OrderedDict()

    def fresh(self, name: GraphName, now_s: float) -> GraphRow | None:
        """Return the row if it is younger than max_age_s."""
        found = self._rows.get(name)
        if found is None or now_s - found[1] >= self._max_age_s:
            return None
        self._rows.move_to_end(name)
        return found[0]

    def any(self, name: GraphName) -> GraphRow | None:
        """Return the row, however old."""
        found = self._rows.get(name)
        return None if found is None else found[0]

    def put(self, row: GraphRow, now_s: float) -> None:
        name = GraphName(row.tenant, row.graph)
        self._rows[name] = (row, now_s)
        self._rows.move_to_end(name)
        if len(self._rows) > self._rows_max:
            self._rows.popitem(last=False)

    def forget(self, name: GraphName) -> None:
        self._rows.pop(name, None)

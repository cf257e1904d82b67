"""Finds the nodes whose vectors are nearest to one by cosine. The file is the truth; memory holds a part of it.

Rules:
- A graph's vectors of one name have one dimension: that of the first one written that is still there.
- Below EXACT_MAX vectors of a name all of them are compared (numpy); from there on, layers of neighbours are walked
  (usearch), and what they find is scored anew with the vectors of the file.
- Memory is filled from where it ended: by searches, as long as little is missing, and otherwise beside them, from the
  first one on (filler.py), layers by LAYERS_PART vectors at a time. What memory does not have yet, or has no room for,
  is compared from the file. So an answer is never of an older graph, and at worst slow.
- What memory has and the file does not any more is left out of answers. Once it is half, memory begins anew.
- All graphs of a process share one bound of memory: what was not asked for longest goes.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from weakref import finalize

import apsw
import numpy as np

from argosy.errors import GraphDeadlineError, GraphInputError
from argosy.graph.facts import Hit, Node
from argosy.shards.engine import Interrupt
from argosy.shards.engines.derived import NodeChange
from argosy.shards.engines.nearest import Floats, Held, Layers, Matrix, best_of, units_of
from argosy.shards.engines.reader import node_of, within_size
from argosy.statements import load_statements

EXACT_MAX: Final = 10_000  # some milliseconds; layers take seconds to make of so many
LAYERS_PART: Final = 64  # some 0.2 ms each: a search waits for them
_PART: Final = 1_000  # that are read from the file at a time
_CANDIDATES_MIN: Final = 64  # of layers
_COUNTED_EVERY: Final = 1_000  # what the file has is counted again when memory has so many more, or a quarter more
_FLOAT_BYTES: Final = 4
_OBJECT_BYTES: Final = 1_024  # of an index without vectors, about
_SQL: Final = load_statements("argosy.shards.engines", "vectors")


class Vectors:
    """The vectors of one graph. What memory has of them goes with this object.

    behind: the names of which it lacks many.
    """

    def __init__(self, memory: "VectorMemory") -> None:
        self.behind: set[str] = set()
        self._memory = memory
        self._owner = object()
        finalize(self, memory.gone.append, self._owner)

    def changed(self, connection: apsw.Connection, nodes: Sequence[NodeChange]) -> None:
        dimensions: dict[str, int | None] = {}
        for node in nodes:
            for name, numbers in (node.vectors or {}).items():
                if name not in dimensions:
                    dimensions[name] = _dimension_of(connection, name)
                if dimensions[name] not in (None, len(numbers)):
                    raise GraphInputError(
                        f"vectors.{name} of node {node.id!r} has {len(numbers)} numbers, and in this graph"
                        f" vectors of this name have {dimensions[name]}"
                    )

    def nearest(
        self, connection: apsw.Connection, name: str, vector: Sequence[float], limit: int, interrupt: Interrupt
    ) -> list[Hit]:
        """Return at most `limit` nodes, the nearest first. connection: in a snapshot. score: the cosine."""
        dimension = _dimension_of(connection, name)
        if dimension is None:
            return []
        search = _Search(connection, name, _unit_of(name, vector, dimension), limit, interrupt)
        index = self._memory.index_of(self._owner, name, dimension)
        with index.lock:
            has_more = index.fill(search, self._memory.size_bytes_max)
            found = index.nearest(search)
            last_key = index.last_key
        self._memory.trim()
        if has_more:
            self.behind.add(name)
        best = sorted(found + search.compare_after(last_key), key=lambda each: (-each.score, each.key))[:limit]
        return [Hit(node, each.score) for node, each in zip(search.nodes(best), best, strict=True)]

    def fill(self, connection: apsw.Connection, name: str, interrupt: Interrupt) -> bool:
        """Take a part of the vectors of a name into memory. Returns whether there is more to take."""
        self.behind.discard(name)
        dimension = _dimension_of(connection, name)
        if dimension is None:
            return False
        search = _Search(connection, name, np.zeros(dimension, np.float32), 0, interrupt)
        index = self._memory.index_of(self._owner, name, dimension)
        with index.lock:
            has_more = index.fill(search, self._memory.size_bytes_max)
        self._memory.trim()
        return has_more


class VectorMemory:
    """What the graphs of a process hold of their vectors. Used by any number of threads.

    gone: owners that are no more, noted by whatever thread collects garbage, which may hold the lock here.
    """

    def __init__(self, size_bytes_max: int) -> None:
        self.size_bytes_max = size_bytes_max
        self.gone: deque[object] = deque()
        self._lock = threading.Lock()
        self._indexes: OrderedDict[tuple[object, str], _Index] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        with self._lock:
            return self._size_bytes()

    @property
    def count(self) -> int:
        """How many vectors memory has."""
        with self._lock:
            return sum(len(index) for index in self._indexes.values())

    def index_of(self, owner: object, name: str, dimension: int) -> "_Index":
        with self._lock:
            index = self._indexes.get((owner, name))
            if index is None or index.dimension != dimension:
                index = self._indexes[owner, name] = _Index(dimension)
            self._indexes.move_to_end((owner, name))
            return index

    def trim(self) -> None:
        """Let go of what was not asked for longest, until the rest has room. Whoever asks it now is not disturbed."""
        with self._lock:
            over = self._size_bytes() - self.size_bytes_max
            while over > 0 and len(self._indexes) > 1:
                over -= self._indexes.popitem(last=False)[1].size_bytes

    def _size_bytes(self) -> int:
        gone = set()
        while self.gone:
            gone.add(self.gone.popleft())
        if gone:
            for key in [key for key in self._indexes if key[0] in gone]:
                del self._indexes[key]
        return sum(index.size_bytes for index in self._indexes.values())


class _Found(NamedTuple):
    key: int
    score: float


class _Search:
    """One question, and what the file says to it."""

    def __init__(self, connection: apsw.Connection, name: str, unit: Floats, limit: int, interrupt: Interrupt) -> None:
        self.connection = connection
        self.name = name
        self.unit = unit
        self.limit = limit
        self._interrupt = interrupt

    def count(self) -> int:
        count: int = self.connection.execute(_SQL["count_of_name"], (self.name,)).get
        return count

    def read_after(self, key: int, count: int) -> tuple[list[int], Floats]:
        """Return the next vectors behind a key."""
        if self._interrupt():
            raise GraphDeadlineError("the search was stopped at its deadline")
        rows: list[Any] = self.connection.execute(_SQL["vectors_after"], (self.name, key, count)).fetchall()
        return [row[0] for row in rows], units_of([row[1] for row in rows], len(self.unit))

    def score(self, keys: Sequence[int]) -> list[_Found]:
        """Return those keys that the file has, with their scores."""
        rows = [(key, row[0]) for key in keys for row in self.connection.execute(_SQL["numbers_of_key"], (key,))]
        scores = units_of([numbers for _, numbers in rows], len(self.unit)) @ self.unit
        return [_Found(key, float(score)) for (key, _), score in zip(rows, scores, strict=True)]

    def nodes(self, found: Sequence[_Found]) -> list[Node]:
        rows = (row for each in found for row in self.connection.execute(_SQL["node_of_key"], (each.key,)))
        return [node_of(row) for row in within_size(rows)]

    def compare_after(self, key: int) -> list[_Found]:
        """Return the nearest ones of all behind a key, from the file."""
        keys, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        while True:
            read, units = self.read_after(key, _PART)
            if read:
                keys, scores = np.concatenate([keys, read]), np.concatenate([scores, units @ self.unit])
                best = best_of(scores, self.limit)
                keys, scores, key = keys[best], scores[best], read[-1]
            if len(read) < _PART:
                return [_Found(*each) for each in zip(keys.tolist(), scores.tolist(), strict=True)]


class _Index:
    """What memory has of the vectors of one name: those with keys up to last_key."""

    def __init__(self, dimension: int) -> None:
        self.lock = threading.Lock()
        self.dimension = dimension
        self.last_key = 0
        self._held: Held = Matrix(dimension)
        self._counted_at = 0  # how many it holds when what the file has is counted again

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size_bytes(self) -> int:
        return self._held.size_bytes + _OBJECT_BYTES

    def fill(self, search: _Search, size_bytes_max: int) -> bool:
        """Take in what the file has behind the last key, while there is room; of layers, a part. Returns whether there
        is more to take.
        """
        part = LAYERS_PART if isinstance(self._held, Layers) else _PART
        while True:
            if len(self._held) >= self._counted_at:
                self._choose(search.count())
                part = LAYERS_PART if isinstance(self._held, Layers) else _PART
            # A matrix doubles.
            if 2 * self._held.size_bytes + part * self.dimension * _FLOAT_BYTES > size_bytes_max:
                return False
            keys, units = search.read_after(self.last_key, part)
            if keys:
                self._add(keys, units)
            if len(keys) < part or isinstance(self._held, Layers):
                return len(keys) == part

    def nearest(self, search: _Search) -> list[_Found]:
        """Return the nearest ones of those that memory has and the file still has."""
        count = max(2 * search.limit, _CANDIDATES_MIN) if isinstance(self._held, Layers) else search.limit
        while True:
            held = len(self._held)
            found = search.score(self._held.nearest(search.unit, min(count, held)) if held else [])
            if len(found) >= search.limit or count >= held:
                return found
            count *= 4

    def _add(self, keys: list[int], units: Floats) -> None:
        try:
            self._held.add(np.asarray(keys, np.int64), units)
        except BaseException:  # out of memory: some may be in, and none comes twice
            self._held, self.last_key, self._counted_at = Matrix(self.dimension), 0, 0
            raise
        self.last_key = keys[-1]

    def _choose(self, live: int) -> None:
        """Hold the vectors as it suits how many the file has, and without many that it does not have any more."""
        kind = Layers if live >= EXACT_MAX else Matrix
        if not isinstance(self._held, kind) or len(self._held) > 2 * live + _COUNTED_EVERY:
            self._held, self.last_key = kind(self.dimension), 0
        self._counted_at = len(self._held) + max(_COUNTED_EVERY, len(self._held) // 4)
        if kind is Matrix:
            self._counted_at = min(self._counted_at, max(EXACT_MAX, len(self._held) + 1))


def _dimension_of(connection: apsw.Connection, name: str) -> int | None:
    size: int | None = connection.execute(_SQL["first_of_name"], (name,)).get
    return None if size is None else size // _FLOAT_BYTES


def _unit_of(name: str, vector: Sequence[float], dimension: int) -> Floats:
    if len(vector) != dimension:
        raise GraphInputError(f"vectors.{name} has {dimension} numbers in this graph, not {len(vector)}")
    floats = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(floats))
    if not np.isfinite(length) or length == 0:
        raise GraphInputError(f"vectors.{name}: a vector to search for has finite numbers that are not all 0")
    unit: Floats = (floats / length).astype(np.float32)
    return unit

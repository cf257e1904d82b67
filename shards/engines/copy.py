"""Gives an open graph as base and tail: see argosy/graph/copies.py."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from argosy.errors import CopyBrokenError
from argosy.graph.copies import CopyPart
from argosy.graph.facts import GraphRef
from argosy.shards.engines.connections import Connections
from argosy.shards.engines.hold import Hold
from argosy.shards.engines.meta import Meta

_PART_SIZE_BYTES: Final = 1_048_576
_Read = Callable[[int, int], bytes]


class Copied(Protocol):
    """What is copied: a graph in a file (sqlite_graph.py)."""

    @property
    def meta(self) -> Meta: ...

    @property
    def connections(self) -> Connections: ...


class SqliteCopy:
    """A copy of a graph under way (engine.py, GraphCopy)."""

    def __init__(self, graph: Copied, hold: Hold) -> None:
        self._graph = graph
        self._hold = hold
        self._is_over = False
        # Of base and tail: how much was digested, and its digest. Both only ever continue.
        self._digested: dict[str, tuple[int, Any]] = {}

    def base(self, ref: GraphRef, offset: int) -> Iterator[CopyPart]:
        self._check(ref)
        return self._parts("base", self._hold.read_file, offset, self._hold.size_bytes)

    def tail(self, ref: GraphRef, offset: int) -> Iterator[CopyPart]:
        self._check(ref)
        with self._graph.connections.reading() as connection:
            end = self._hold.log_end(connection)
        return self._parts("tail", self._hold.read_log, offset, end)

    @property
    def has_ended(self) -> bool:
        return self._is_over or self._hold.has_ended

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._graph.connections.holder.release(self._hold)

    def _check(self, ref: GraphRef) -> None:
        self._graph.meta.check_read(ref)
        if self._is_over:
            raise CopyBrokenError("the copy has ended")

    def _parts(self, what: str, read: _Read, offset: int, end: int) -> Iterator[CopyPart]:
        if offset > end:
            raise CopyBrokenError(f"the {what} has {end} bytes, and none from {offset} on")
        digested, digest = self._digested.get(what, (0, hashlib.sha256()))
        if digested > end:  # by somebody who asked for a tail later
            digested, digest = 0, hashlib.sha256()
        digest = digest.copy()
        for _, data in _pieces(read, digested, offset):
            digest.update(data)
        digested = max(digested, offset)
        for begin, data in _pieces(read, offset, end):
            digest.update(data[max(0, digested - begin) :])
            yield CopyPart(begin, data, end)
        self._digested[what] = (end, digest)
        yield CopyPart(end, b"", end, digest.digest())


def _pieces(read: _Read, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    for offset in range(begin, end, _PART_SIZE_BYTES):
        yield offset, read(offset, min(_PART_SIZE_BYTES, end - offset))

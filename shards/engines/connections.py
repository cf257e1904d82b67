"""The connections to the files of graphs: one that writes and some that read for each graph, and few enough in all.

A graph takes connections as it needs them. Once too many graphs have some, those that were used longest ago close
theirs, and open others when they are used again: that takes a third of a millisecond.
"""

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from argosy.errors import GraphDeadlineError, ShardUnavailableError, WrongOwnerError
from argosy.shards.engine import Interrupt
from argosy.shards.engines.connection import open_file, told, told_of
from argosy.shards.engines.folder import Folder
from argosy.shards.engines.holder import Holder

# That a graph keeps open between reads. More than this read at a time only for a moment.
_READERS_KEPT: Final = 4
# Of a connection: the file and its log of writes. Of a graph: the index of the log.
_DESCRIPTORS_OF_CONNECTION: Final = 2
_DESCRIPTORS_OF_GRAPH: Final = 1
_LOOK_S: Final = 0.05  # how soon one that waits for its turn to write sees that it has to stop


class OpenBounds(NamedTuple):
    """Bounds of what is open at once. graphs: with open connections. memory_bytes: that SQLite takes in this process.
    descriptors: of open files. vectors_bytes: of vectors in memory.
    """

    graphs: int
    memory_bytes: int
    descriptors: int
    vectors_bytes: int


class Connections:
    """The connections of one graph. Used by any number of threads."""

    def __init__(self, path: Path, opened: "OpenGraphs") -> None:
        self.path = path
        self.owner: object = None  # kept as long as it has connections
        self._opened = opened
        # Held for moments, in which its thread may collect as garbage an export that was given up.
        self._lock = threading.RLock()
        self._write_lock = threading.Lock()  # held while one writes
        self._writer: apsw.Connection | None = None
        self._readers: list[apsw.Connection] = []
        self._reading: set[apsw.Connection] = set()
        self._leaving: _Leaving | None = None
        self.holder: Final = Holder(self)

    @property
    def is_at_hand(self) -> bool:
        """Whether a connection that reads is open and free."""
        return bool(self._readers)

    @contextmanager
    def writing(self, interrupt: Interrupt | None = None) -> Iterator[apsw.Connection]:
        """Give the connection that writes, when it is the caller's turn. Errors of SQLite are told as Argosy's.

        interrupt: whether to wait no longer, since a bulk load may take long: then GraphDeadlineError.
        """
        while not self._write_lock.acquire(timeout=-1 if interrupt is None else _LOOK_S):
            if interrupt is not None and interrupt():
                raise GraphDeadlineError("others wrote to the graph until the deadline")
        try:
            with told():
                self.check()
                is_first = self._writer is None
                if self._writer is None:
                    self._writer = open_file(self.path)
                self._opened.used(self, connected=is_first)
                self.holder.prepare(self._writer)
                yield self._writer
                self.holder.written()
        finally:
            self._write_lock.release()

    def reading(self) -> "_Reading":
        """Give the caller a connection of its own that reads. Errors of SQLite are told as Argosy's."""
        return _Reading(self)

    def begin_read(self) -> apsw.Connection:
        """Take a connection that reads, until `end_read`."""
        with self._lock:
            self.check()
            is_new = not self._readers
            connection = open_file(self.path) if is_new else self._readers.pop()
            self._reading.add(connection)
        try:
            self._opened.used(self, connected=is_new)
        except BaseException as error:
            self.end_read(connection, error)
            raise
        return connection

    def end_read(self, connection: apsw.Connection, error: BaseException | None) -> None:
        """Give the connection back. error: with which the read ended; one of SQLite's is raised as Argosy's."""
        try:
            if isinstance(error, apsw.Error):
                if isinstance(error, apsw.InterruptError):
                    self.check()
                raise told_of(error) from error
        finally:
            self._give_back(connection)

    def check(self) -> None:
        """Raise WrongOwnerError when the graph was dropped."""
        if self._leaving is not None:
            raise WrongOwnerError("the graph was dropped")

    def release(self) -> bool:
        """Close what is not in use. Return whether nothing is open any more."""
        if not self._write_lock.acquire(blocking=False):
            return False
        try:
            with self._lock:
                self._close_unused()
                return not self._reading
        finally:
            self._write_lock.release()

    def finish(self) -> None:
        """Close what is not in use, once nobody writes any more."""
        self.holder.end("the shard is stopping")
        with self._write_lock, self._lock:
            self._close_unused()

    def leave(self, folder: Folder, incarnation: uuid.UUID) -> None:
        """Refuse everything from now on, and have the file removed once the last read has ended: those that go on are
        stopped.
        """
        self.holder.end("the graph was dropped")
        self._leaving = _Leaving(folder, incarnation)  # before it is one's turn: a bulk load sees it, and ends
        with self._write_lock, self._lock:
            self._close_unused()
            for connection in self._reading:
                connection.interrupt()
            self._remove_if_unused()
        self._opened.forget(self)

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            self._reading.discard(connection)
            if self._leaving is None and len(self._readers) < _READERS_KEPT:
                self._readers.append(connection)
                return
            self._close(connection)
            self._remove_if_unused()

    def _close_unused(self) -> None:
        while self._readers:
            self._close(self._readers.pop())
        if self._writer is not None:
            self._close(self._writer)
            self._writer = None

    def _close(self, connection: apsw.Connection) -> None:
        connection.close()
        self._opened.disconnected()

    def _remove_if_unused(self) -> None:
        if self._leaving is not None and not self._reading and self._writer is None:
            self._leaving.folder.remove(self._leaving.incarnation, self.path)


class _Reading:
    """One read: a class and no generator, which would cost as much as reading a node."""

    __slots__ = ("_connection", "_connections")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> apsw.Connection:
        self._connection = self._connections.begin_read()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._connections.end_read(self._connection, error)


class _Leaving(NamedTuple):
    folder: Folder
    incarnation: uuid.UUID


class OpenGraphs:
    """Which graphs have connections, the one used longest ago first."""

    def __init__(self, bounds: OpenBounds) -> None:
        self._bounds = bounds
        self._lock = threading.RLock()  # as above
        self._graphs: OrderedDict[Connections, None] = OrderedDict()
        self._connections = 0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._graphs)

    def paths(self) -> list[Path]:
        with self._lock:
            return [graph.path for graph in self._graphs]

    def used(self, graph: Connections, *, connected: bool) -> None:
        """Note that a graph uses a connection now, and whether that is a new one: then others' are closed, where there
        are too many. Raises ShardUnavailableError when all are being closed.
        """
        with self._lock:
            if self._is_closed:
                raise ShardUnavailableError("the shard is stopping")
            self._graphs[graph] = None
            self._graphs.move_to_end(graph)
            self._connections += connected
        if connected:
            self._make_room(graph)

    def disconnected(self) -> None:
        with self._lock:
            self._connections -= 1

    def forget(self, graph: Connections) -> None:
        """Close a graph's connections, but for those in use: then the graph counts as used now."""
        with self._lock:
            self._graphs.pop(graph, None)
        if not graph.release():
            with self._lock:
                self._graphs[graph] = None

    def close(self) -> None:
        """Let nobody begin, wait for those who write, and close what is not read."""
        with self._lock:
            self._is_closed = True
            graphs = list(self._graphs)
        for graph in graphs:
            graph.finish()

    def _make_room(self, user: Connections) -> None:
        for _ in range(len(self._graphs)):
            with self._lock:
                oldest = next(iter(self._graphs), user)
                if oldest is user or not self._is_over():
                    return
            self.forget(oldest)

    def _is_over(self) -> bool:
        graphs = len(self._graphs)
        descriptors = self._connections * _DESCRIPTORS_OF_CONNECTION + graphs * _DESCRIPTORS_OF_GRAPH
        return (
            graphs > self._bounds.graphs
            or descriptors > self._bounds.descriptors
            or apsw.status(apsw.SQLITE_STATUS_MEMORY_USED)[0] > self._bounds.memory_bytes
        )

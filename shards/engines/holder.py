"""The hold on one graph's file, which those who copy the graph at the same time share."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import apsw

from argosy.errors import GraphDeadlineError, ShardBusyError, WrongOwnerError
from argosy.shards.engine import Interrupt
from argosy.shards.engines.connection import CHECKPOINT_PAGES
from argosy.shards.engines.hold import Hold

_LOOK_S: Final = 0.05


class Held(Protocol):
    """Whose file is held: the connections of a graph (connections.py)."""

    path: Path

    def writing(self, interrupt: Interrupt | None = None) -> AbstractContextManager[apsw.Connection]: ...

    def reading(self) -> AbstractContextManager[apsw.Connection]: ...


class Holder:
    """Begins and ends holds. Used by any number of threads."""

    def __init__(self, connections: Held) -> None:
        self._connections = connections
        self._lock = threading.Lock()  # held while a hold begins, and while its users are counted
        self._hold: Hold | None = None

    def hold(self, wal_size_bytes_max: int, interrupt: Interrupt) -> Hold:
        """Return a hold, until `release`. Raises ShardBusyError while reads are in the way."""
        with self._held(interrupt):
            if self._hold is None or self._hold.has_ended:
                self._hold = self._begun(wal_size_bytes_max, interrupt)
            self._hold.users += 1
            return self._hold

    def release(self, hold: Hold) -> None:
        """End a hold when nobody else uses it. What is in the log goes into the file then."""
        with self._lock:
            hold.users -= 1
            if hold.users:
                return
            hold.end("the copy has ended")
            if self._hold is hold:
                self._hold = None
        # Here, and not within somebody's commit, which would wait for it.
        with contextlib.suppress(apsw.Error, WrongOwnerError), self._connections.reading() as connection:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def prepare(self, writer: apsw.Connection) -> None:
        """Have commits write nothing to the main file as long as it is held: they would look through the whole log."""
        writer.wal_autocheckpoint(0 if self._hold is not None else CHECKPOINT_PAGES)

    def written(self) -> None:
        """End the hold when the log is over its bound: asked after each commit."""
        if (hold := self._hold) is not None:
            hold.written()

    def end(self, why: str) -> None:
        """End the hold, whoever uses it."""
        if (hold := self._hold) is not None:
            hold.end(why)

    def _begun(self, wal_size_bytes_max: int, interrupt: Interrupt) -> Hold:
        with self._connections.writing(interrupt) as writer:
            hold = Hold.begun(self._connections.path, writer, wal_size_bytes_max)
        if hold is None:
            raise ShardBusyError("the graph is being read, and cannot be copied before that ends: ask again")
        return hold

    @contextmanager
    def _held(self, interrupt: Interrupt) -> Iterator[None]:
        while not self._lock.acquire(timeout=_LOOK_S):
            if interrupt():
                raise GraphDeadlineError("others waited for a copy of the graph until the deadline")
        try:
            yield
        finally:
            self._lock.release()

"""Holds a graph's main file as it is, while the graph is read and written on: what is written goes to its log alone.

How: when all of the log is in the file, and the log is empty, a read is begun. It reads the file and nothing of the log
("read mark 0"), so SQLite lets no checkpoint write the file before that read ends. Until then the log only grows: it
begins anew only when all of it is in the file.
"""

import os
import threading
from pathlib import Path
from typing import Final, Self

import apsw

from argosy.errors import CopyBrokenError, GraphFileError, ShardBusyError
from argosy.shards.engines.connection import impatient, open_file, told
from argosy.shards.engines.meta import wal_path, wal_size_bytes
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "schema")
# Whoever begins a hold keeps others from writing. Those that read what is in the log still are done within this, or so
# much later that it is tried again.
_BEGIN_MS: Final = 200
_LOOKS_MAX: Final = 10_000  # at the log, that meet a commit: it takes microseconds, and so does a look
_WAL_HEADER_SIZE_BYTES: Final = 32
_FRAME_HEADER_SIZE_BYTES: Final = 24


class Hold:
    """A graph's main file, and the log of what is written, until `end`. Used by any number of threads.

    size_bytes: of the main file. users: how many copies share it.
    """

    def __init__(self, path: Path, reading: apsw.Connection, wal_size_bytes_max: int) -> None:
        self._path = path
        self._reading = reading
        self._wal_size_bytes_max = wal_size_bytes_max
        self._frame_size_bytes = _FRAME_HEADER_SIZE_BYTES + reading.pragma("page_size")
        # SQLite's own way to the file: to close another one would give up the locks that this process has on the file.
        self._file = apsw.VFSFile("", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
        self._lock = threading.Lock()
        self.users = 0
        self._why_ended = ""
        self.size_bytes: Final = self._file.xFileSize()

    @classmethod
    def begun(cls, path: Path, writer: apsw.Connection, wal_size_bytes_max: int) -> Self | None:
        """Begin one, while nobody else may write; None while reads go on that began before a part of the log was
        written to the file.
        """
        try:
            with impatient(writer, _BEGIN_MS):
                writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return None
        reading = open_file(path)
        try:
            with told():
                reading.execute("BEGIN")
                reading.execute(_SQL["read_meta"]).fetchall()
                return cls(path, reading, wal_size_bytes_max)
        except BaseException:
            reading.close()
            raise

    @property
    def has_ended(self) -> bool:
        return bool(self._why_ended)

    def check(self) -> None:
        """Raise CopyBrokenError when it has ended."""
        if self._why_ended:
            raise CopyBrokenError(self._why_ended)

    def written(self) -> None:
        """End it when the log is over its bound: asked after each commit."""
        if not self._why_ended and wal_size_bytes(self._path) > self._wal_size_bytes_max:
            bound = self._wal_size_bytes_max
            self.end(f"more than {bound} bytes (SHARD_COPY_WAL_SIZE_BYTES_MAX) were written while the graph was copied")

    def read_file(self, offset: int, size_bytes: int) -> bytes:
        """Return bytes of the main file."""
        with self._lock, told():
            self.check()
            return self._file.xRead(size_bytes, offset)

    def read_log(self, offset: int, size_bytes: int) -> bytes:
        """Return bytes of the log, up to an end that `log_end` gave."""
        try:
            with wal_path(self._path).open("rb") as log:  # SQLite has no locks on this file
                data = os.pread(log.fileno(), size_bytes, offset)
        except FileNotFoundError:
            data = b""
        self.check()  # behind the read: as long as the hold lasts, nobody writes these bytes anew
        if len(data) < size_bytes:
            raise GraphFileError(f"the log of writes has no {size_bytes} bytes from {offset} on")
        return data

    def log_end(self, connection: apsw.Connection) -> int:
        """Return how many bytes the log has, up to its last commit. connection: any that is in no transaction."""
        for _ in range(_LOOKS_MAX):
            with self._lock, told():
                self.check()
                try:
                    frames, in_file = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)  # writes nothing
                except apsw.BusyError:  # a commit is being noted at this moment
                    continue
                if in_file:
                    raise GraphFileError("the graph's file was written to, although it is held")
                return _WAL_HEADER_SIZE_BYTES + frames * self._frame_size_bytes if frames else 0
        raise ShardBusyError("the graph is written to all the time: ask again for what was written")

    def end(self, why: str) -> None:
        """End it, unless it has ended: the log goes into the file from now on. why: for those who read here."""
        with self._lock:
            if self._why_ended:
                return
            self._why_ended = why
            self._file.xClose()
            self._reading.close()

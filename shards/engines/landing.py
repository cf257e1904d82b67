"""One graph that comes as base and tail, on its way to be a file: see argosy/graph/copies.py.

The base is written to the file, and the tail to where SQLite keeps the log of that file: to open the file is to put
them together. How far it has come is in folder.db, so that it goes on after the process was killed, at any moment.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw

from argosy.errors import CopyBrokenError, GraphFileError
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphRef, GraphState, Stats
from argosy.shards.engines.connection import open_file, told, transaction
from argosy.shards.engines.folder import remove_file, sync_folder
from argosy.shards.engines.landing_rows import LandingRow, LandingRows, Stage
from argosy.shards.engines.meta import Meta, size_bytes, stats_of, wal_path, wal_size_bytes
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "schema")
_READ_SIZE_BYTES: Final = 1_048_576


class Landing:
    """Used by any number of threads, one at a time."""

    def __init__(self, row: LandingRow, rows: LandingRows) -> None:
        self.row = row  # replaced as a whole
        self._rows = rows
        self._lock = threading.Lock()
        self._is_gone = False
        self._digested: tuple[int, Any] = (0, hashlib.sha256())  # of the tail: how much of it, and its digest

    @property
    def received(self) -> Received:
        stage = self.row.stage
        base, tail = size_bytes(self.row.path), wal_size_bytes(self.row.path)
        return Received(base, tail, is_whole=stage > Stage.BASE, is_landed=stage is Stage.LANDED)

    @property
    def changed_ms(self) -> int:
        """When something of it came last, in Unix milliseconds."""
        paths = (self.row.path, wal_path(self.row.path))
        return max((path.stat().st_mtime_ns // 1_000_000 for path in paths if path.exists()), default=0)

    def take(self, part: CopyPart, *, is_tail: bool) -> bool:
        """Store a part. Return whether more are wanted."""
        with self._lock:
            self._check_here()
            stage = self.row.stage
            if stage > Stage.TAIL or (stage is Stage.TAIL and not is_tail):
                return False
            if is_tail and stage is Stage.BASE:
                raise CopyBrokenError("the base is not whole yet, and the tail comes behind it")
            try:
                if is_tail:
                    self._take_tail(part)
                else:
                    self._take_base(part)
            except OSError as error:
                raise GraphFileError(f"the copy cannot be stored: {error}") from error
            return self.row.stage is stage

    def land(self, sums: CopySums, expected: Stats | None) -> Stats:
        """Make one file of base and tail. Return what it says."""
        with self._lock:
            self._check_here()
            if self.row.stage is Stage.BASE:
                raise CopyBrokenError("the base is not whole yet")
            if self.row.stage is Stage.TAIL:
                self._check(sums)
                self._become(Stage.CHECKED)
            stats = self._joined()
            if expected is not None and stats[:_SIZES] != expected[:_SIZES]:
                raise CopyBrokenError(f"it should be {expected[:_SIZES]}, and is {stats[:_SIZES]}")
            if self.row.stage is Stage.CHECKED:
                self._become(Stage.LANDED)
            return stats

    def activate(self, ref: GraphRef, path: Path) -> Stats:
        """Let it be this graph, in the file that graph has. Nobody may make that file meanwhile."""
        with self._lock:
            self._check_here()
            if self.row.stage is not Stage.LANDED:
                raise CopyBrokenError("the copy has not landed")
            landed = self.row.path
            with told():
                connection = open_file(landed)
                try:
                    with transaction(connection):
                        name = (ref.tenant, ref.graph, ref.incarnation.bytes, ref.generation, GraphState.ACTIVE.value)
                        connection.execute(_SQL["rename"], name)
                    meta = Meta.read(connection)
                finally:
                    connection.close()  # the last one: its log is in the file, and removed
            landed.rename(path)
            sync_folder(path.parent)
            self._is_gone = True
            return stats_of(meta, path)

    def remove(self) -> None:
        """Remove it. Its row is gone."""
        with self._lock:
            self._is_gone = True
            remove_file(self.row.path)

    def _check_here(self) -> None:
        if self._is_gone:
            raise CopyBrokenError("nothing of the copy is here any more")

    def _become(self, stage: Stage, base_sha256: bytes = b"") -> None:
        """Have it at a stage, durably."""
        row = self.row._replace(stage=stage, base_sha256=base_sha256 or self.row.base_sha256)
        self._rows.put(row)
        self.row = row

    def _take_base(self, part: CopyPart) -> None:
        path = self.row.path
        if part.offset not in (0, size_bytes(path)):
            raise CopyBrokenError(f"the base has {size_bytes(path)} bytes, and this goes on at {part.offset}")
        with path.open("wb" if part.offset == 0 else "ab") as file:
            file.write(part.data)
            if part.sha256:
                file.flush()
                os.fsync(file.fileno())
        if part.sha256:
            self._finish_base(part.sha256)

    def _finish_base(self, sha256: bytes) -> None:
        fault = "it is not what was sent" if _digest_of(self.row.path) != sha256 else _fault_of(self.row.path)
        if fault:
            remove_file(self.row.path)
            raise CopyBrokenError(f"the base of the copy cannot be used: {fault}")
        sync_folder(self.row.path.parent)
        self._become(Stage.TAIL, sha256)

    def _take_tail(self, part: CopyPart) -> None:
        path = wal_path(self.row.path)
        there = size_bytes(path)
        if part.offset > there:
            raise CopyBrokenError(f"the tail has {there} bytes, and this goes on at {part.offset}")
        if new := part.data[there - part.offset :]:  # what is there was sent before
            with path.open("ab") as file:
                file.write(new)
            digested, digest = self._digested
            if digested == there:
                digest.update(new)
                self._digested = (there + len(new), digest)

    def _check(self, sums: CopySums) -> None:
        """Raise CopyBrokenError unless base and tail are what they have to be, and on disk."""
        path = wal_path(self.row.path)
        digested, digest = self._digested
        sha256 = digest.digest() if digested == size_bytes(path) else _digest_of(path)
        if (self.row.base_sha256, size_bytes(path), sha256) != sums:
            raise CopyBrokenError("base and tail are not those that were sent last")
        if path.exists():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(path.parent)

    def _joined(self) -> Stats:
        """Have all of it in one file. Return what that says."""
        path = self.row.path
        try:
            with told():
                connection = open_file(path)
                try:
                    meta = Meta.read(connection)
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                finally:
                    connection.close()
        except GraphFileError as error:
            raise CopyBrokenError(f"the copy is no graph: {error}") from error
        return stats_of(meta, path)


_SIZES: Final = Stats._fields.index("size_bytes")  # a copy has others


def _digest_of(path: Path) -> bytes:
    digest = hashlib.sha256()
    for data in _data_of(path):
        digest.update(data)
    return digest.digest()


def _data_of(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            while data := file.read(_READ_SIZE_BYTES):
                yield data


def _fault_of(path: Path) -> str:
    """Return what is wrong with a file of SQLite's that nobody has open; empty: nothing."""
    try:
        connection = apsw.Connection(
            f"file:{quote(str(path))}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        try:
            fault = str(connection.pragma("quick_check"))
        finally:
            connection.close()
    except apsw.Error as error:
        return str(error)
    return "" if fault == "ok" else fault

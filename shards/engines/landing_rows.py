"""What folder.db says of graphs that are received."""

import threading
import uuid
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from argosy.shards.engines.connection import told, transaction
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "landing")


class Stage(IntEnum):
    """How far a graph has come, as it is stored."""

    BASE = 1  # its base is coming
    TAIL = 2  # its base is whole and sound, and its tail is coming
    CHECKED = 3  # base and tail are what they have to be, and are being put together
    LANDED = 4  # it is one file


class LandingRow(NamedTuple):
    copy_id: uuid.UUID
    incarnation: uuid.UUID
    generation: int
    path: Path
    stage: Stage
    base_sha256: bytes


class LandingRows:
    """The rows of a folder. db: held by whoever has `lock`."""

    def __init__(self, root: Path, db: apsw.Connection, lock: threading.Lock) -> None:
        self._root = root
        self._db = db
        self._lock = lock
        with lock, told():
            db.execute(_SQL["make_landing"])

    def all(self) -> list[LandingRow]:
        with self._lock, told():
            return [self._row(*row) for row in self._db.execute(_SQL["all_landings"])]

    def find(self, copy_id: uuid.UUID) -> LandingRow | None:
        with self._lock, told():
            row = self._db.execute(_SQL["find_landing"], (copy_id.bytes,)).fetchone()
        return None if row is None else self._row(*row)

    def put(self, row: LandingRow) -> None:
        """Store a row durably."""
        file = str(row.path.relative_to(self._root))
        values = (row.copy_id.bytes, row.incarnation.bytes, row.generation, file, int(row.stage), row.base_sha256)
        with self._lock, told(), transaction(self._db):
            self._db.execute(_SQL["put_landing"], values)

    def delete(self, copy_id: uuid.UUID) -> None:
        with self._lock, told(), transaction(self._db):
            self._db.execute(_SQL["delete_landing"], (copy_id.bytes,))

    def _row(
        self, copy_id: bytes, incarnation: bytes, generation: int, file: str, stage: int, base_sha256: bytes
    ) -> LandingRow:
        return LandingRow(
            uuid.UUID(bytes=copy_id),
            uuid.UUID(bytes=incarnation),
            generation,
            self._root / file,
            Stage(stage),
            base_sha256,
        )

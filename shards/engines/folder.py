"""The folder of a shard: which process has it, which member of the fleet it is, and what was dropped in it.

Rules:
- One process at a time. The lock goes with the process, however it ends.
- The member's id is made with the folder and never changes: an empty disk under a known address has another one.
- A file's name is made of tenant, graph and incarnation. So what is still open of a graph that was dropped never meets
  the file of the graph that was made in its place: SQLite deletes a log of writes by its name.
- A graph is dropped once that is on disk in folder.db; its file goes then, or when the folder is opened again.
"""

import fcntl
import hashlib
import os
import threading
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from argosy.errors import GraphFileError, SettingError
from argosy.graph.facts import GraphName, GraphRef
from argosy.process import fork
from argosy.shards.engines.connection import FORMAT, open_file, told, transaction
from argosy.shards.engines.landing_rows import LandingRows
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "folder")
# Calls are signed for minutes. When so many graphs were dropped after one, no call that means it is on its way.
_DROPPED_MAX: Final = 1_000_000
# The log of writes goes first: alone, it would be taken for that of a file which is made later.
_PARTS: Final = ("-wal", "-shm", "")
_HEX: Final = "[0-9a-f]"
_INCARNATION: Final = _HEX * 32
_DIGEST: Final = 32  # characters of the name's digest, with which a file's name begins
_ROOM: Final = _HEX * 2
_FILE: Final = f"{_HEX * _DIGEST}-{_INCARNATION}.db"


class Folder:
    """A shard's folder, held until `close`. Raises SettingError when another process has it, or it cannot be used."""

    member_id: uuid.UUID

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._held = _hold(root)
        try:
            self._db = open_file(root / "folder.db", is_new=True)
            self.member_id = self._member()
            self.landings: Final = LandingRows(root, self._db, self._lock)
            self._finish_drops()
        except BaseException as error:
            _let_go(self._held)
            if isinstance(error, GraphFileError):
                raise SettingError(f"{root} cannot be a shard's folder: {error}") from error
            raise

    def path_of(self, ref: GraphRef) -> Path:
        return self._room(GraphName(ref.tenant, ref.graph)) / f"{_digest(ref)}-{ref.incarnation.hex}.db"

    def landing_path(self, ref: GraphRef, copy_id: uuid.UUID) -> Path:
        """Return the file that the graph is received in."""
        return self.path_of(ref).with_suffix(f".{copy_id.hex}.landing")

    def paths_named(self, name: GraphName) -> list[Path]:
        """Return the files of a graph: one for each incarnation that is here."""
        return sorted(self._room(name).glob(f"{_digest(name)}-{_INCARNATION}.db"))

    @property
    def is_empty(self) -> bool:
        """Whether it has no graphs."""
        return next(self._root.glob(f"{_ROOM}/{_FILE}"), None) is None

    def paths(self, after: GraphName | None) -> Iterator[Path]:
        """Yield the files of graphs, in the order of the digests of their names; after: only those behind this one.

        Of the folders in it only those are read that the caller comes to.
        """
        behind = "" if after is None else _digest(after)
        for room in sorted(self._root.glob(_ROOM)):
            if room.name >= behind[:2]:
                yield from (path for path in sorted(room.glob(_FILE)) if path.name[:_DIGEST] > behind)

    def is_dropped(self, incarnation: uuid.UUID, generation: int) -> bool:
        """Whether the graph was dropped here as it was in this generation, or in a later one."""
        with self._lock, told():
            row = self._db.execute(_SQL["find_dropped"], (incarnation.bytes,)).fetchone()
        return row is not None and generation <= row[0]

    def is_leaving(self, incarnation: uuid.UUID) -> bool:
        """Whether its file is still to be removed."""
        with self._lock, told():
            row = self._db.execute(_SQL["find_dropped"], (incarnation.bytes,)).fetchone()
        return row is not None and row[1] is not None

    def drop(self, ref: GraphRef, path: Path | None) -> None:
        """Record a drop durably. path: of the file that is then to be removed, by `remove`."""
        file = None if path is None else str(path.relative_to(self._root))
        with self._lock, told(), transaction(self._db):
            self._db.execute(_SQL["insert_dropped"], (ref.incarnation.bytes, ref.generation, file))
            self._db.execute(_SQL["forget_dropped"], (_DROPPED_MAX,))

    def remove(self, incarnation: uuid.UUID, path: Path) -> None:
        """Remove the file of a graph that was dropped, which nothing has open."""
        remove_file(path)
        with self._lock, told():
            self._db.execute(_SQL["file_removed"], (incarnation.bytes,))

    def remove_landings(self, but: Collection[str]) -> None:
        """Remove the files that graphs were received in, but for those of these names."""
        for path in self._root.glob(f"{_ROOM}/*.landing"):
            if path.name not in but:
                remove_file(path)

    def close(self) -> None:
        with self._lock:
            self._db.close()
        _let_go(self._held)

    def _room(self, name: GraphName) -> Path:
        return self._root / _digest(name)[:2]

    def _member(self) -> uuid.UUID:
        with told(), transaction(self._db):
            if self._db.pragma("user_version") == 0:
                self._db.execute(_SQL["make_folder"])
                self._db.execute(_SQL["insert_member"], (uuid.uuid4().bytes,))
                self._db.pragma("user_version", FORMAT)
            return uuid.UUID(bytes=self._db.execute(_SQL["read_member"]).get)

    def _finish_drops(self) -> None:
        with told():
            left = list(self._db.execute(_SQL["files_to_remove"]))
        for incarnation, file in left:
            self.remove(uuid.UUID(bytes=incarnation), self._root / file)
        for unfinished in self._root.glob("??/*.new*"):
            unfinished.unlink()


def incarnation_of(path: Path) -> uuid.UUID:
    """Return the incarnation that a graph's file is named by."""
    return uuid.UUID(hex=path.stem[-32:])


def remove_file(path: Path) -> None:
    """Remove a file of SQLite's; nothing, when it is not there."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Write a folder's entries to disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _digest(name: GraphName | GraphRef) -> str:
    tenant, graph = name[0].encode(), name[1].encode()
    return hashlib.sha256(b"%d:%b%b" % (len(tenant), tenant, graph)).hexdigest()[:_DIGEST]


def _hold(root: Path) -> int:
    """Lock the folder, which is made if it is not there. Return the descriptor that holds the lock."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        sync_folder(root.parent)
        held = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingError(f"{root} (SHARD_DIR) cannot be a shard's folder: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(held)
        raise SettingError(
            f"{root} is the folder of another shard, which is running: stop that one, or give this one a folder of its "
            "own (SHARD_DIR)"
        ) from error
    except OSError as error:
        os.close(held)
        raise SettingError(f"{root} cannot be locked, as a shard's folder has to be: {error.strerror}") from error
    fork.own_fd(held)  # a forked child would hold the lock beyond this process's end
    return held


def _let_go(held: int) -> None:
    fork.disown_fd(held)
    os.close(held)

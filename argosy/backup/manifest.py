"""The manifest of a backup: what belongs to it, and the checksum of each file. Without one a folder is no backup.

It ends with its own checksum (checked.py). So one that was cut or altered, wherever, is refused before anything is
touched. Format 1 had none, and up to format 2 the keys of tenants were in the dump.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from argosy.backup.checked import is_as_written, text_of, write_whole
from argosy.errors import GraphInputError
from argosy.store.backup import BackupKeys

FORMAT: Final = 3
MANIFEST: Final = "manifest.json"
_WITHOUT_CHECKSUM: Final = 1  # the first format
_FORMATS: Final = (_WITHOUT_CHECKSUM, 2, FORMAT)  # that are read
_READ_SIZE_BYTES: Final = 1_048_576


class FileSum(msgspec.Struct, frozen=True):
    """A file. path: in the backup's folder. sha256: in hexadecimal."""

    path: str
    size_bytes: int
    sha256: str


class LogPositions(msgspec.Struct, frozen=True):
    """How far a log was read: every record before these positions, by partition, is in the database."""

    lane: str
    log_id: str
    topic: str | None
    positions: dict[int, int]


class GraphFile(msgspec.Struct, frozen=True):
    tenant: str
    graph: str
    incarnation: uuid.UUID
    file: FileSum


class MissingGraph(msgspec.Struct, frozen=True):
    """A graph that was dropped after the database was dumped, and before its turn came."""

    tenant: str
    graph: str
    incarnation: uuid.UUID


class NeededKey(msgspec.Struct, frozen=True):
    """A key that was there when the database was dumped, so payloads may need it. is_digest: it seals nothing, and
    tells which requests are repeated.
    """

    tenant: str
    key_id: int
    is_digest: bool


class _Head(msgspec.Struct, frozen=True):
    """What every format has: a later one may have all else otherwise."""

    format: int


class Manifest(msgspec.Struct, frozen=True):
    """made_at: when the database was as the dump has it. readable_until: from then on the log may lack what was
    accepted since. argosy: the version. installation: as its keys have it. keys: those that it needs and does not have
    (keys.py); None: the dump has its own. checksum: of the manifest, in hexadecimal; empty in format 1. Last in the
    file.
    """

    format: int
    backup_id: uuid.UUID
    argosy: str
    made_at: datetime
    readable_until: datetime
    lineage: int
    database: FileSum
    logs: list[LogPositions]
    graphs: list[GraphFile]
    missing: list[MissingGraph]
    installation: str = ""
    keys: list[NeededKey] | None = None
    checksum: str = ""

    @property
    def where_keys_are(self) -> BackupKeys | None:
        """Return where the keys of its payloads are; None: in the dump, if it needs any."""
        return None if self.keys is None else BackupKeys.APART if self.keys else BackupKeys.NONE

    def files(self) -> Iterator[FileSum]:
        yield self.database
        for each in self.graphs:
            yield each.file


def write_manifest(folder: Path, manifest: Manifest) -> bytes:
    """Make the folder a backup, with a manifest that is sealed. Return the SHA-256 of the manifest."""
    text = text_of(manifest)
    write_whole(folder / MANIFEST, text)
    return hashlib.sha256(text).digest()


def sum_of_manifest(folder: Path) -> bytes:
    """Return the SHA-256 of the manifest of a backup."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).digest()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a backup. Raises GraphInputError when the folder has none, one that is not what was
    written, or one of a newer version.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise GraphInputError(f"{folder} is no whole backup: it has no {MANIFEST}. Nothing was restored") from error
    try:
        found = msgspec.json.decode(text, type=_Head).format
        if found not in _FORMATS:
            raise GraphInputError(
                f"{path} is of format {found}, and this version reads {FORMAT}: it is of a later version, or was "
                "altered. Nothing was restored"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GraphInputError(
            f"{path} was cut or altered, and cannot be read: {error}. Nothing was restored"
        ) from error
    has_none = not manifest.checksum and manifest.format == _WITHOUT_CHECKSUM
    if not has_none and not is_as_written(text, manifest.checksum):
        raise GraphInputError(
            f"{path} is not what was written: its checksum is another one. Nothing was restored: take the file from "
            "another copy of the backup"
        )
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raise GraphInputError unless each file of a backup is what its manifest says."""
    for each in manifest.files():
        path = folder / each.path
        if folder.resolve() not in path.resolve().parents:
            raise GraphInputError(f"{each.path} is not in the backup's folder")
        found = sum_of(folder, path) if path.is_file() else None
        if found != each:
            what = "is missing" if found is None else "is not what was written: its checksum is another one"
            raise GraphInputError(f"{path} {what}. Nothing was restored")


def sum_of(folder: Path, path: Path) -> FileSum:
    """Return what a file has, once that is on disk."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        os.fsync(file.fileno())
        while data := file.read(_READ_SIZE_BYTES):
            digest.update(data)
            size_bytes += len(data)
    return FileSum(str(path.relative_to(folder)), size_bytes, digest.hexdigest())

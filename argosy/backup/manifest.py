"""The manifest of a backup: what belongs to it, and the checksum of each file. Without one a folder is no backup.

It ends with its own checksum: the SHA-256 of its bytes as they are with zeros in place of the checksum's digits. So one
that was cut or altered, wherever, is refused before anything is touched. Format 1 had none.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from argosy.errors import GraphInputError

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
_WITHOUT_CHECKSUM: Final = 1  # the format of before
_ZEROS: Final = "0" * 64
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


class _Head(msgspec.Struct, frozen=True):
    """What every format has: a later one may have all else otherwise."""

    format: int


class Manifest(msgspec.Struct, frozen=True):
    """made_at: when the database was as the dump has it. readable_until: from then on the log may lack what was
    accepted since. argosy: the version. checksum: of the manifest, in hexadecimal; empty in format 1. Last in the file.
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
    checksum: str = ""

    def files(self) -> Iterator[FileSum]:
        yield self.database
        for each in self.graphs:
            yield each.file


def sealed(manifest: Manifest) -> Manifest:
    """Return a manifest with its checksum."""
    text = _text_of(msgspec.structs.replace(manifest, checksum=_ZEROS))
    return msgspec.structs.replace(manifest, checksum=hashlib.sha256(text).hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> bytes:
    """Make the folder a backup, with a manifest that is sealed. Return the SHA-256 of the manifest."""
    text = _text_of(manifest)
    part = folder / f"{MANIFEST}.part"
    with part.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / MANIFEST)
    sync_folder(folder)
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
        if found not in (_WITHOUT_CHECKSUM, FORMAT):
            raise GraphInputError(
                f"{path} is of format {found}, and this version reads {FORMAT}: it is of a later version, or was "
                "altered. Nothing was restored"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GraphInputError(
            f"{path} was cut or altered, and cannot be read: {error}. Nothing was restored"
        ) from error
    if not _is_as_written(text, manifest):
        raise GraphInputError(
            f"{path} is not what was written: its checksum is another one. Nothing was restored: take the file from "
            "another copy of the backup"
        )
    return manifest


def _text_of(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)


def _is_as_written(text: bytes, manifest: Manifest) -> bool:
    checksum = manifest.checksum.encode()
    if not checksum:
        return manifest.format == _WITHOUT_CHECKSUM
    before, found, after = text.rpartition(checksum)
    return bool(found) and hashlib.sha256(before + _ZEROS.encode() + after).hexdigest() == manifest.checksum


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


def sync_folder(path: Path) -> None:
    """Write a folder's entries to disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

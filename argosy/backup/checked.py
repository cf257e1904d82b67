"""JSON that says itself whether it is what was written.

It ends with its own checksum, the member `checksum`: the SHA-256 of its bytes as they are with zeros in place of the
checksum's digits. So what was cut or altered, wherever, is refused.
"""

import hashlib
import os
from pathlib import Path
from typing import Final, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

_ZEROS: Final = "0" * 64


def sealed(made: S) -> S:
    """Return what was made, whose last member is its checksum, with that."""
    text = text_of(msgspec.structs.replace(made, checksum=_ZEROS))
    return msgspec.structs.replace(made, checksum=hashlib.sha256(text).hexdigest())


def text_of(made: msgspec.Struct) -> bytes:
    """Return the text of what was sealed."""
    return msgspec.json.format(msgspec.json.encode(made), indent=2)


def is_as_written(text: bytes, checksum: str) -> bool:
    """Whether a text is the one of this checksum, which stands in it."""
    if not checksum:
        return False
    before, found, after = text.rpartition(checksum.encode())
    return bool(found) and hashlib.sha256(before + _ZEROS.encode() + after).hexdigest() == checksum


def write_whole(path: Path, text: bytes) -> None:
    """Write a file for this user alone, or leave the one that is there: it is on disk when this returns."""
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # what is left of one that was ended may have had another mode
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Write a folder's entries to disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

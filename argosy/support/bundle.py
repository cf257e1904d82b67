"""Writes a support bundle: parts that are made at once, each within bounds; what became of each stands in MANIFEST."""

import io
import os
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from argosy.clock import Clock
from argosy.errors import SettingError
from argosy.support.redaction import Redaction

FOLDER: Final = "argosy-support"
MANIFEST: Final = "MANIFEST"
Reader: TypeAlias = Callable[[], bytes]
_WORDS_MAX: Final = 500  # of what went wrong


class Bounds(NamedTuple):
    """Of each part: seconds, and bytes before compression."""

    part_s: float
    part_size_bytes_max: int


class Made(NamedTuple):
    """What became of a part. content: None when there is none. said: in words."""

    name: str
    content: bytes | None
    said: str


def make(parts: Mapping[str, Reader], bounds: Bounds, redaction: Redaction, clock: Clock) -> list[Made]:
    """Return what became of each part, in their order: of each, by the name of its file, what makes it, in a thread of
    its own. What that raises is why there is no such file.

    It takes bounds.part_s at the most, whatever a part waits for: the thread of one that is late is left behind, and
    ends with the process.
    """
    running = []
    for name, read in parts.items():
        found = _Found()
        thread = threading.Thread(target=_read, args=(read, found, clock), name=f"support {name}", daemon=True)
        thread.start()
        running.append((name, thread, found))
    end_s = clock.monotonic_s() + bounds.part_s
    made = []
    for name, thread, found in running:
        thread.join(max(0.0, end_s - clock.monotonic_s()))
        made.append(_made(name, found, bounds, redaction))
    return made


def write(path: Path, made: Sequence[Made], about: str) -> None:
    """Write a bundle, which this user alone can read. about: the first lines of its MANIFEST.

    Raises SettingError when the file cannot be written, or is there already.
    """
    width = max(len(each.name) for each in made)
    lines = [f"{each.name:<{width}}  {each.said}" for each in made]
    manifest = "\n".join([about, *lines, ""]).encode()
    files = [(MANIFEST, manifest), *((each.name, each.content) for each in made if each.content is not None)]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, content in files:
                entry = tarfile.TarInfo(f"{FOLDER}/{name}")
                entry.size, entry.mode = len(content), 0o600
                archive.addfile(entry, io.BytesIO(content))
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}") from error


class _Found:
    """What a thread came to: content, or fault in words, or neither yet."""

    content: bytes | None = None
    fault = ""
    took_s = 0.0


def _read(read: Reader, found: _Found, clock: Clock) -> None:
    began_s = clock.monotonic_s()
    try:
        content = read()
    except Exception as error:
        found.fault = f"{type(error).__name__}: {error}".replace("\n", " ")
        return
    found.took_s = clock.monotonic_s() - began_s
    found.content = content


def _made(name: str, found: _Found, bounds: Bounds, redaction: Redaction) -> Made:
    if found.fault:
        words = redaction.apply(found.fault.encode()).decode(errors="replace")
        return Made(name, None, f"failed: {words[:_WORDS_MAX]}")
    if found.content is None:
        return Made(name, None, f"failed: not made within {bounds.part_s:g} s (SUPPORT_PART_S)")
    content = redaction.apply(found.content)
    size, most = len(content), bounds.part_size_bytes_max
    if size > most:
        return Made(name, content[:most], f"cut: {most} of {size} bytes (SUPPORT_PART_SIZE_BYTES_MAX)")
    return Made(name, content, f"whole: {size} bytes in {found.took_s:.1f} s")

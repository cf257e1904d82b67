"""Native snapshots: a graph in one file, as its shard has it: keys, tokens, the index of words, vectors and all.

    argosy graph 1⏎ | base | tail | {"base_size_bytes": …, …} | the size of that, in 4 bytes

Base and tail are those of argosy/graph/copies.py: a snapshot is taken while the graph is read and written, and is the
graph as it was after the last commit in its tail. What is at the end is written last, so a file that was cut has none.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from argosy.errors import ArgosyError, CopyBrokenError, GraphInputError
from argosy.graph.copies import Copies, CopyPart, CopySums
from argosy.graph.facts import GraphRef, Stats

MAGIC: Final = b"argosy graph 1\n"
_LENGTH_SIZE_BYTES: Final = 4
_END_SIZE_BYTES_MAX: Final = 65_536
_PART_SIZE_BYTES: Final = 1_048_576
_RELEASE_S: Final = 5.0

Pace = Callable[[int], Awaitable[None]]  # waits until so many bytes more may be read


class SnapshotEnd(msgspec.Struct, frozen=True):
    """What is at the end. The graph is the one that was copied; sealed_as: what its values are bound to, in any graph
    that is made of the snapshot, too. SHA-256 in hexadecimal.
    """

    tenant: str
    graph: str
    incarnation: uuid.UUID
    generation: int
    base_size_bytes: int
    base_sha256: str
    tail_size_bytes: int
    tail_sha256: str
    sealed_as: uuid.UUID | None = None

    @property
    def sums(self) -> CopySums:
        return CopySums(bytes.fromhex(self.base_sha256), self.tail_size_bytes, bytes.fromhex(self.tail_sha256))


async def at_once(_: int) -> None:
    """Wait for nothing: a Pace."""


async def write_snapshot(
    copies: Copies, ref: GraphRef, file: BinaryIO, *, deadline_s: float, pace: Pace = at_once
) -> SnapshotEnd:
    """Write a snapshot of a graph to a file that is empty. Raises CopyBrokenError: then it may be begun anew."""
    copy_id = uuid.uuid4()
    try:
        file.write(MAGIC)
        base = await _written(copies.copy(ref, copy_id, deadline_s=deadline_s), file, pace)
        tail = await _written(copies.copy_tail(ref, copy_id, offset=0, deadline_s=deadline_s), file, pace)
    finally:
        with contextlib.suppress(ArgosyError):  # it ends by itself
            await copies.release_copy(ref, copy_id, deadline_s=_RELEASE_S)
    sums = (base.size_bytes, base.sha256.hex(), tail.size_bytes, tail.sha256.hex())
    end = SnapshotEnd(*ref.life, *sums, sealed_as=ref.sealed_as)
    text = msgspec.json.encode(end)
    file.write(text + len(text).to_bytes(_LENGTH_SIZE_BYTES, "big"))
    return end


async def send_snapshot(copies: Copies, ref: GraphRef, snapshot: "Snapshot", *, deadline_s: float) -> Stats:
    """Make a graph of a snapshot, in the generation of `ref`. May be called again, and then goes on."""
    copy_id = uuid.uuid5(ref.incarnation, f"{ref.generation} {snapshot.end.base_sha256} {snapshot.end.tail_sha256}")
    received = await copies.receive(ref, copy_id, _none(), deadline_s=deadline_s)
    if not (received.is_whole or received.is_landed):
        received = await copies.receive(ref, copy_id, snapshot.base(), deadline_s=deadline_s)
    if not received.is_landed:
        tail = snapshot.tail(received.tail_size_bytes)
        await copies.receive(ref, copy_id, tail, is_tail=True, deadline_s=deadline_s)
        await copies.land(ref, copy_id, snapshot.end.sums, deadline_s=deadline_s)
    return await copies.activate(ref, copy_id, ref.generation, deadline_s=deadline_s)


def is_snapshot(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class Snapshot:
    """A snapshot in a file. Raises GraphInputError when it is none, or was cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.end: Final = _end_of(path)

    def check(self) -> None:
        """Raise GraphInputError unless base and tail are what its end says."""
        for what, begin, size_bytes, sha256 in self._both():
            digest = hashlib.sha256()
            for _, data in self._data(begin, size_bytes, 0):
                digest.update(data)
            if digest.hexdigest() != sha256:
                raise GraphInputError(f"{self._path}: its {what} is not what was written: it was altered")

    def base(self) -> AsyncIterator[CopyPart]:
        (_, begin, size_bytes, sha256), _ = self._both()
        return self._parts(begin, size_bytes, sha256, 0)

    def tail(self, offset: int = 0) -> AsyncIterator[CopyPart]:
        _, (_, begin, size_bytes, sha256) = self._both()
        return self._parts(begin, size_bytes, sha256, offset)

    def _both(self) -> tuple[tuple[str, int, int, str], tuple[str, int, int, str]]:
        end, begin = self.end, len(MAGIC)
        base = ("base", begin, end.base_size_bytes, end.base_sha256)
        return base, ("tail", begin + end.base_size_bytes, end.tail_size_bytes, end.tail_sha256)

    async def _parts(self, begin: int, size_bytes: int, sha256: str, offset: int) -> AsyncIterator[CopyPart]:
        for at, data in self._data(begin, size_bytes, offset):
            yield CopyPart(at, data, size_bytes)
        yield CopyPart(size_bytes, b"", size_bytes, bytes.fromhex(sha256))

    def _data(self, begin: int, size_bytes: int, offset: int) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as file:
            file.seek(begin + offset)
            while offset < size_bytes:
                if not (data := file.read(min(_PART_SIZE_BYTES, size_bytes - offset))):
                    raise GraphInputError(f"{self._path} was cut")
                yield offset, data
                offset += len(data)


def _end_of(path: Path) -> SnapshotEnd:
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise GraphInputError(f"{path} is no snapshot of a graph")
            whole = file.seek(0, os.SEEK_END)
            file.seek(whole - _LENGTH_SIZE_BYTES)
            size_bytes = int.from_bytes(file.read(), "big")
            if not 0 < size_bytes <= min(_END_SIZE_BYTES_MAX, whole - len(MAGIC) - _LENGTH_SIZE_BYTES):
                raise GraphInputError(f"{path} has no end: it was cut")
            file.seek(whole - _LENGTH_SIZE_BYTES - size_bytes)
            end = msgspec.json.decode(file.read(size_bytes), type=SnapshotEnd)
            sums = end.sums
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise GraphInputError(f"{path} is no whole snapshot of a graph: {error}") from error
    parts = len(MAGIC) + end.base_size_bytes + sums.tail_size_bytes + size_bytes + _LENGTH_SIZE_BYTES
    if parts != whole:
        raise GraphInputError(f"{path} has {whole} bytes, and should have {parts}: it was cut or altered")
    return end


async def _written(parts: AsyncIterator[CopyPart], file: BinaryIO, pace: Pace) -> CopyPart:
    """Write parts, and return the last one."""
    last: CopyPart | None = None
    async for part in parts:
        file.write(part.data)
        await pace(len(part.data))
        last = part
    if last is None or not last.sha256:
        raise CopyBrokenError("a copy of the graph ended before its end")
    return last


async def _none() -> AsyncIterator[CopyPart]:
    none: tuple[CopyPart, ...] = ()
    for part in none:
        yield part

"""Copies from and to shards in memory, by the rules of argosy/graph/copies.py.

A base is a file, pickled; a tail has the file as it was each time when somebody asked for the tail.
"""

import hashlib
import pickle
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from argosy.errors import CopyBrokenError, WrongOwnerError
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphName, GraphRef, GraphState, Stats

if TYPE_CHECKING:
    from tests.graph.memory_shards import File, Folder

T = TypeVar("T")
_PART_SIZE_BYTES = 200
_SIZE_OF_LENGTH = 4
_ORDER = (GraphState.ACTIVE, GraphState.SEALED, GraphState.RETIRED)


@dataclass
class SourceCopy:
    ref: GraphRef
    base: bytes
    tail: bytes = b""


@dataclass
class Landing:
    ref: GraphRef
    base: bytes = b""
    tail: bytes = b""
    is_whole: bool = False
    landed: "File | None" = None

    @property
    def received(self) -> Received:
        return Received(len(self.base), len(self.tail), self.is_whole, self.landed is not None)

    def take(self, part: CopyPart, *, is_tail: bool) -> None:
        have = self.tail if is_tail else self.base
        if is_tail and not self.is_whole:
            raise CopyBrokenError("a tail comes behind a whole base")
        if part.offset == 0 and not is_tail:
            have = b""
        if part.offset > len(have):
            raise CopyBrokenError("this does not continue what is there")
        have += part.data[len(have) - part.offset :]
        if is_tail:
            self.tail = have
            return
        self.base = have
        if part.sha256:
            if hashlib.sha256(have).digest() != part.sha256:
                self.base = b""
                raise CopyBrokenError("the base is not what was sent")
            self.is_whole = True

    def file(self) -> "File":
        last, rest = self.base, self.tail
        while len(rest) >= _SIZE_OF_LENGTH:
            size = int.from_bytes(rest[:_SIZE_OF_LENGTH])
            if len(rest) < _SIZE_OF_LENGTH + size:
                break
            last, rest = rest[_SIZE_OF_LENGTH:][:size], rest[_SIZE_OF_LENGTH + size :]
        file: File = pickle.loads(last)  # noqa: S301 (made here)
        return file


@dataclass
class Copied:
    """What a folder has of copies. Its source ends with the shard's process, what was received does not."""

    source: dict[uuid.UUID, SourceCopy] = field(default_factory=dict)
    landings: dict[uuid.UUID, Landing] = field(default_factory=dict)

    def end(self, ref: GraphRef) -> None:
        """End the copies of a graph that is dropped."""
        self.source = {key: copy for key, copy in self.source.items() if copy.ref.incarnation != ref.incarnation}


class Asked(Protocol):
    """tests/graph/memory_shards.py, MemoryShard."""

    @property
    def meant(self) -> "Folder": ...

    def file(self, ref: GraphRef) -> "File": ...

    async def call(self, method: str, effect: Callable[[], T], *, is_write: bool) -> T: ...


class MemoryCopies:
    """argosy/graph/copies.py, Copies."""

    def __init__(self, shard: Asked) -> None:
        self._shard = shard

    async def copy(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int = 0, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        def begun() -> bytes:
            file, copies = self._shard.file(ref), self._shard.meant.copied.source
            if offset and copy_id not in copies:
                raise CopyBrokenError("no such copy")
            return copies.setdefault(copy_id, SourceCopy(ref, pickle.dumps(file))).base

        for part in _parts(await self._shard.call("copy", begun, is_write=False), offset):
            yield part

    async def copy_tail(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        def tail() -> bytes:
            file, copy = self._shard.file(ref), self._shard.meant.copied.source.get(copy_id)
            if copy is None:
                raise CopyBrokenError("no such copy")
            now = pickle.dumps(file)
            record = len(now).to_bytes(_SIZE_OF_LENGTH) + now
            if not copy.tail.endswith(record):
                copy.tail += record
            return copy.tail

        for part in _parts(await self._shard.call("copy_tail", tail, is_write=False), offset):
            yield part

    async def release_copy(self, ref: GraphRef, copy_id: uuid.UUID, *, deadline_s: float) -> None:
        await self._shard.call(
            "release_copy", lambda: self._shard.meant.copied.source.pop(copy_id, None), is_write=False
        )

    async def receive(
        self,
        ref: GraphRef,
        copy_id: uuid.UUID,
        parts: AsyncIterator[CopyPart],
        *,
        is_tail: bool = False,
        deadline_s: float,
    ) -> Received:
        def begun() -> Landing:
            self._check_taken(ref)
            self._check_place(ref)
            return self._shard.meant.copied.landings.setdefault(copy_id, Landing(ref))

        landing = await self._shard.call("receive", begun, is_write=True)
        async for part in parts:
            if self._shard.meant.copied.landings.get(copy_id) is not landing:
                raise CopyBrokenError("abandoned meanwhile")
            if landing.landed is not None or (landing.is_whole and not is_tail):
                break
            landing.take(part, is_tail=is_tail)
        return landing.received

    async def land(
        self, ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None = None, *, deadline_s: float
    ) -> Stats:
        def effect() -> Stats:
            self._check_taken(ref)
            landing = self._landing(copy_id)
            self._check_place(ref)
            if landing.landed is not None:
                return landing.landed.stats
            if not landing.is_whole or sums != CopySums(_sum(landing.base), len(landing.tail), _sum(landing.tail)):
                raise CopyBrokenError("not what it has to be")
            file = landing.file()
            if expected is not None and file.stats[:6] != expected[:6]:
                raise CopyBrokenError("another graph")
            landing.landed = file
            return file.stats

        return await self._shard.call("land", effect, is_write=True)

    async def set_state(self, ref: GraphRef, state: GraphState, generation: int, *, deadline_s: float) -> Stats:
        def effect() -> Stats:
            file = self._shard.meant.files.get(GraphName(ref.tenant, ref.graph))
            if file is None or file.ref.incarnation != ref.incarnation:
                raise WrongOwnerError("not here")
            if (file.ref.generation, file.state) == (generation, state):
                return file.stats
            if file.ref.generation != ref.generation or generation < ref.generation:
                raise WrongOwnerError("in another generation")
            if generation > ref.generation or _ORDER.index(state) > _ORDER.index(file.state):
                file.ref, file.state = ref._replace(generation=generation), state
            return file.stats

        return await self._shard.call("set_state", effect, is_write=True)

    async def activate(self, ref: GraphRef, copy_id: uuid.UUID, generation: int, *, deadline_s: float) -> Stats:
        def effect() -> Stats:
            name, active = GraphName(ref.tenant, ref.graph), ref._replace(generation=generation)
            there = self._shard.meant.files.get(name)
            if there is not None and there.ref == active:
                return there.stats
            self._check_taken(ref)
            landing = self._landing(copy_id)
            if landing.landed is None:
                raise CopyBrokenError("it has not landed")
            self._check_place(ref)
            landing.landed.ref, landing.landed.state = active, GraphState.ACTIVE
            self._shard.meant.files[name] = landing.landed
            self._forget(ref)
            return landing.landed.stats

        return await self._shard.call("activate", effect, is_write=True)

    async def abandon(self, ref: GraphRef, *, deadline_s: float) -> None:
        def effect() -> None:
            folder = self._shard.meant
            folder.dropped[ref.incarnation] = max(folder.dropped.get(ref.incarnation, 0), ref.generation)
            self._forget(ref)

        await self._shard.call("abandon", effect, is_write=True)

    def _forget(self, ref: GraphRef) -> None:
        landings = self._shard.meant.copied.landings
        for copy_id, landing in list(landings.items()):
            if landing.ref.incarnation == ref.incarnation and landing.ref.generation <= ref.generation:
                del landings[copy_id]

    def _check_taken(self, ref: GraphRef) -> None:
        if ref.generation <= self._shard.meant.dropped.get(ref.incarnation, -1):
            raise WrongOwnerError("dropped here")

    def _check_place(self, ref: GraphRef) -> None:
        if GraphName(ref.tenant, ref.graph) in self._shard.meant.files:
            raise WrongOwnerError("the graph, or another life of it, is here")

    def _landing(self, copy_id: uuid.UUID) -> Landing:
        landing = self._shard.meant.copied.landings.get(copy_id)
        if landing is None:
            raise CopyBrokenError("nothing of it is here")
        return landing


def _sum(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _parts(data: bytes, offset: int) -> list[CopyPart]:
    begins: Any = range(offset, max(len(data), offset + 1), _PART_SIZE_BYTES)
    parts = [CopyPart(begin, data[begin : begin + _PART_SIZE_BYTES], len(data)) for begin in begins]
    return [*parts[:-1], parts[-1]._replace(sha256=_sum(data))]

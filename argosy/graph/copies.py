"""The contract of a shard for graphs that are copied while they are open, and moved.

A graph's file is copied as bytes: first the base, which is its main file at the moment when the copy began, then the
tail, which is its log of writes since then. From that moment until the copy ends the source writes to the log alone, so
the base never changes and the tail only grows. Base and tail together are the graph, exactly: what was written, keys,
tokens and all. The tail may end anywhere: then the copy is the graph as it was after the last commit in it.

Rules:
- Every call names the graph in a generation, and the copy by an id that whoever began it chose. Each may be made again
  at any time: it does nothing that was done, and answers what it answered.
- A copy ends when it is released, when nobody has asked for any part of it for SHARD_COPY_HOLD_S, when the log of
  writes is over SHARD_COPY_WAL_SIZE_BYTES_MAX, when the graph is dropped, and with the shard. Then CopyBrokenError: it
  is begun anew, under another id.
- What is received is nobody's: it is not listed, answers nothing and is no graph, until `activate`.
- A graph is moved in this order: copy, receive, until little is left of the tail; `set_state` SEALED; the last of the
  tail; `land`; `set_state` RETIRED; `activate` in the next generation; `drop` at the source. Within a generation a
  state only ever goes forward, from ACTIVE to SEALED to RETIRED; a later generation begins anew. So a late call of
  somebody who was deposed changes nothing: its generation is over, or what it asks for has happened already.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple, Protocol

from argosy.graph.facts import GraphRef, GraphState, Stats


class CopyPart(NamedTuple):
    """Bytes of a base or a tail. offset: of the first one. size_bytes: of all that this answer leads up to. sha256: of
    all of that, from the first byte of the base or tail on; in the last part of an answer, and empty in others.
    """

    offset: int
    data: bytes
    size_bytes: int
    sha256: bytes = b""


class Received(NamedTuple):
    """What a shard has of a copy. is_whole: the base is what the source sent, and a sound file. is_landed: all of it is
    there, and one file.
    """

    base_size_bytes: int
    tail_size_bytes: int
    is_whole: bool
    is_landed: bool


class CopySums(NamedTuple):
    """What base and tail have to be."""

    base_sha256: bytes
    tail_size_bytes: int
    tail_sha256: bytes


class Copies(Protocol):
    """Copies from and to one shard. Besides those of a transport (transport.py) its calls raise CopyBrokenError, and
    ShardBusyError while as many copies are under way as may be.
    """

    def copy(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int = 0, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        """Yield the base from an offset on, at least one part. The copy begins, unless there is one with this id; from
        an offset it can only go on.
        """

    def copy_tail(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        """Yield the tail from an offset on, up to the last commit: at least one part, which may have no bytes."""

    async def release_copy(self, ref: GraphRef, copy_id: uuid.UUID, *, deadline_s: float) -> None:
        """End a copy; one that is not there has ended."""

    async def receive(
        self,
        ref: GraphRef,
        copy_id: uuid.UUID,
        parts: AsyncIterator[CopyPart],
        *,
        is_tail: bool = False,
        deadline_s: float,
    ) -> Received:
        """Store parts as they come, and return what is there; no parts: ask for that. A base that begins at 0 replaces
        what is there of it. Parts of a base that is whole are not taken any more, nor of anything that has landed.

        Raises CopyBrokenError for parts that do not continue what is there, and for a base that is not what its
        SHA-256 says or no sound file: then nothing is left of the copy.
        """

    async def land(
        self, ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None = None, *, deadline_s: float
    ) -> Stats:
        """Make one file of base and tail. expected: what it has to say of the graph, but for sizes; None: whatever the
        source's did, which then may have been another graph.
        """

    async def set_state(self, ref: GraphRef, state: GraphState, generation: int, *, deadline_s: float) -> Stats:
        """Set what the shard does for the graph, behind all writes that came before, and return what it does now: the
        state is a later one if that was set before. Raises WrongOwnerError when the graph is not here in the generation
        of `ref`, unless it has the state and the generation already.
        """

    async def activate(self, ref: GraphRef, copy_id: uuid.UUID, generation: int, *, deadline_s: float) -> Stats:
        """Serve what has landed as this graph, from now on and in this generation."""

    async def abandon(self, ref: GraphRef, *, deadline_s: float) -> None:
        """Remove what is here of copies of the graph, and take none in this generation of it or an earlier one. A graph
        that is served stays.
        """

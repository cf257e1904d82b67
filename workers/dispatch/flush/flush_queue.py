"""What waits to be written, which of it goes out together (bounded in rows and in bytes), and what came of it."""

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from argosy.errors import OwnershipLostError
from argosy.store.numbered_stream import Answer
from argosy.turn.inbox import Fate
from argosy.workers.dispatch.flush.flush_entry import FlushEntry
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn

_Each = TypeVar("_Each")


class LooseMove(NamedTuple):
    """A new state for an inbox row, written without a row of its turn: a signal is buffered, or came late."""

    owned: Owned
    inbox_id: uuid.UUID
    to: Fate


class Placement(NamedTuple):
    """A delayed turn that fell due, and gets its place."""

    owned: Owned
    turn_id: uuid.UUID
    session_id: uuid.UUID
    bucket: int


class FlushBatch(NamedTuple):
    """What one flush writes."""

    entries: list[FlushEntry]
    moves: list[LooseMove]
    placements: list[Placement]

    @property
    def row_count(self) -> int:
        return len(self.entries) + len(self.moves) + len(self.placements)

    def halves(self) -> "list[FlushBatch]":
        """Split the batch in two, in the order in which they may be written. A batch of one row is returned alone.

        A delayed turn is placed before its timer is deleted: if the process dies in between, the timer is still due.
        """
        if self.entries and (self.moves or self.placements):
            return [FlushBatch([], self.moves, self.placements), FlushBatch(self.entries, [], [])]
        if self.moves and self.placements:
            return [FlushBatch([], [], self.placements), FlushBatch([], self.moves, [])]
        if self.row_count < 2:
            return [self]
        middle = self.row_count // 2
        first: list[list[Any]] = [rows[:middle] for rows in self]
        second: list[list[Any]] = [rows[middle:] for rows in self]
        return [FlushBatch(*first), FlushBatch(*second)]


@dataclass(slots=True, eq=False)
class Flushed:
    """What one flush made durable. entries: those that were applied, in the order of the call."""

    answer: Answer
    entries: list[FlushEntry]
    moves: list[LooseMove]
    placements: list[Placement]

    def rows_due_s(self) -> list[float]:
        """Return in how many seconds each inbox row falls due that was written: timers, and rows for other turns."""
        return [row.due_s for entry in self.entries for row in entry.inbox.values()]

    def addressed(self) -> set[int]:
        """Return the buckets of this lane to which a turn wrote something for another turn, or a start of one."""
        rows = (row for entry in self.entries for row in entry.inbox.values())
        return {row.to.bucket for row in rows if row.to is not None and row.to.lane is None}

    def moved(self) -> list[uuid.UUID]:
        """Return the inbox rows that have a new state."""
        inbox_ids = [move.inbox_id for move in self.moves]
        for entry in self.entries:
            inbox_ids.extend(entry.moves)
        return inbox_ids

    def turns(self) -> list[Turn]:
        """Return the turns that were written whole: nothing of their entries is left for another flush."""
        return [entry.turn for entry in self.entries if not entry.has_rest]


@dataclass(slots=True, eq=False)
class Refused:
    """What may never be written from this memory.

    turns: they were not as Postgres has them, or their partition was lost; lost: partitions whose fence did not hold;
    inbox_ids: rows that the turns had in hand, which are due as before.
    """

    turns: list[Turn]
    lost: list[Owned]
    inbox_ids: list[uuid.UUID]


class AfterFlush(Protocol):
    """What a flusher tells. Only `after_flush` may wait, and for one pass of the loop."""

    async def after_flush(self, flushed: Flushed) -> None: ...

    def after_refusal(self, refused: Refused) -> None: ...

    def after_parking(self, inbox_ids: list[uuid.UUID]) -> None:
        """A turn is about to be parked by its flusher; the rows that it had in hand are due as before."""


class FlushQueue:
    """The flusher's queue, first in, first out.

    Rule: a turn stands in a batch once. When it has more to write than the batch has room for, the rest goes to the end
    of the queue, so that a large turn holds up the others for one batch at a time.

    rows_max: turns of a batch, and as many moves and placements; size_bytes_max: data of a batch, which its first event
    may exceed.
    """

    def __init__(self, *, rows_max: int, size_bytes_max: int) -> None:
        self._rows_max = rows_max
        self._size_bytes_max = size_bytes_max
        self._turns: deque[Turn] = deque()
        self._moves: deque[LooseMove] = deque()
        self._placements: deque[Placement] = deque()
        self.size_bytes = 0

    def __len__(self) -> int:
        """How many turns wait."""
        return len(self._turns)

    def __bool__(self) -> bool:
        return bool(self._turns or self._moves or self._placements)

    @property
    def is_full_batch(self) -> bool:
        """Whether a full batch waits, so that waiting for more gains nothing."""
        return len(self._turns) >= self._rows_max or self.size_bytes >= self._size_bytes_max

    def add(self, turn: Turn) -> None:
        if not turn.is_queued_to_flush:
            turn.enter_queue()
            self._turns.append(turn)
        if turn.pending_bytes != turn.counted_bytes:
            self.size_bytes += turn.count()

    def move(self, move: LooseMove) -> None:
        self._moves.append(move)

    def place(self, placement: Placement) -> None:
        self._placements.append(placement)

    def take(self) -> FlushBatch:
        """Remove and return the next batch, without what this process may not write any more. Futures that wait for
        such a turn get OwnershipLostError.
        """
        entries: list[FlushEntry] = []
        room = self._size_bytes_max
        for _ in range(min(len(self._turns), self._rows_max)):
            if room <= 0:
                break
            turn = self._turns.popleft()
            self.size_bytes -= turn.counted_bytes
            turn.leave_queue()
            if not turn.is_live:
                tell_lost(turn, turn.take_waiters())
                continue
            entry = FlushEntry(turn)
            if entry.size_bytes > room and len(entry.events) > 1:
                first = entry.split(room)
                entry.give_back()
                self.add(turn)
                entry = first
            room -= entry.size_bytes
            entries.append(entry)
        return FlushBatch(
            entries,
            [each for each in _first(self._moves, self._rows_max) if not each.owned.is_void],
            [each for each in _first(self._placements, self._rows_max) if not each.owned.is_void],
        )


def _first(waiting: "deque[_Each]", limit: int) -> list[_Each]:
    return [waiting.popleft() for _ in range(min(limit, len(waiting)))]


def tell_lost(turn: Turn, durable: "list[asyncio.Future[None]] | None") -> None:
    """Fail the futures that wait for what the turn wrote: it will never be durable."""
    for each in durable or ():
        if not each.done():
            each.set_exception(OwnershipLostError(f"turn {turn.turn_id} belongs to another process now"))
            each.exception()  # marks it as retrieved: asyncio logs no error when the waiting task is gone

"""What a flush came to: facts that the flusher hands to the rest of the worker."""

import uuid
from dataclasses import dataclass
from typing import Protocol

from argosy.store.numbered_stream import Answer
from argosy.workers.dispatch.flush.flush_entry import Entry
from argosy.workers.dispatch.flush.flush_queue import LooseMove, Placement
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn


@dataclass(slots=True, eq=False)
class Flushed:
    """What one flush made durable. entries: those that were applied, in the order of the call."""

    answer: Answer
    entries: list[Entry]
    moves: list[LooseMove]
    placements: list[Placement]

    def timers(self) -> list[float]:
        """Return in how many seconds each timer falls due that was written."""
        return [row.due_s for entry in self.entries for row in entry.inbox.values()]

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

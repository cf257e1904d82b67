"""What one flush writes."""

import uuid
from typing import Any, NamedTuple

from argosy.turn.inbox import Fate
from argosy.workers.dispatch.flush.flush_entry import Entry
from argosy.workers.dispatch.owned import Owned


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


class Batch(NamedTuple):
    """What one flush writes."""

    entries: list[Entry]
    moves: list[LooseMove]
    placements: list[Placement]

    @property
    def row_count(self) -> int:
        return len(self.entries) + len(self.moves) + len(self.placements)

    def halves(self) -> "list[Batch]":
        """Split the batch in two, in the order in which they may be written. A batch of one row is returned alone.

        A delayed turn is placed before its timer is deleted: if the process dies in between, the timer is still due.
        """
        if self.entries and (self.moves or self.placements):
            return [Batch([], self.moves, self.placements), Batch(self.entries, [], [])]
        if self.moves and self.placements:
            return [Batch([], [], self.placements), Batch([], self.moves, [])]
        if self.row_count < 2:
            return [self]
        middle = self.row_count // 2
        first: list[list[Any]] = [rows[:middle] for rows in self]
        second: list[list[Any]] = [rows[middle:] for rows in self]
        return [Batch(*first), Batch(*second)]

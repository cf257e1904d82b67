"""What one flush writes."""

import uuid
from typing import Any, NamedTuple

from argosy.workers.dispatch.flush.flush_entry import Entry
from argosy.workers.dispatch.turn import Owned


class LooseMove(NamedTuple):
    """An inbox row that takes effect without a row of its turn: a signal is buffered, or came late."""

    owned: Owned
    inbox_id: uuid.UUID
    to: str


class Placement(NamedTuple):
    """A delayed turn that fell due."""

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
        """Two that together are this one, in the order in which they may be written; itself when it has one row.

        A delayed turn is placed before the timer goes that says it is due: whoever ends in between finds it due again.
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

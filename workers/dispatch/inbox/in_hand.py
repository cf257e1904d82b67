"""Inbox rows in hand: this worker has read them, and no flush has written yet what became of them.

Rules:
- A row in hand is still due in Postgres; it is not read again (`known`), and not taken twice.
- Of each queue at most rows_max rows may wait here, for their turn's slot or for a flush. The rows of running turns do
  not count: the number of slots bounds them.
- A full queue rests until half of it is gone, because each read must pass over all that is in hand. Meanwhile Inbox
  reads by turn id what is due for turns that need no slot for it (they run, or wait for a former owner's word).
- When a turn leaves memory without its row, the row is let go: it is still due, and is read again.
"""

import uuid
from collections.abc import Iterable, KeysView
from typing import Final

from argosy.turn.inbox import Queue
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

ROWS_PER_READ: Final = 500


class InHand:
    """The rows in hand. rows_max: how many of a queue may wait."""

    def __init__(self, rows_max: int, scheduler: Scheduler) -> None:
        self._rows_max = rows_max
        self._scheduler = scheduler
        self._owned: dict[uuid.UUID, Owned] = {}
        # Rows that wait, by queue: each with the turn that is to begin, or None when it waits for a flush.
        self._waiting: dict[Queue, dict[uuid.UUID, Turn | None]] = {queue: {} for queue in Queue}
        self._resting: set[Queue] = set()

    def __contains__(self, inbox_id: uuid.UUID) -> bool:
        return inbox_id in self._owned

    @property
    def known(self) -> KeysView[uuid.UUID]:
        return self._owned.keys()

    def take(self, inbox_id: uuid.UUID, owned: Owned) -> None:
        """Keep a row in hand that waits for nothing here: it does not count against rows_max."""
        self._owned[inbox_id] = owned

    def hold(self, inbox_id: uuid.UUID, owned: Owned, queue: Queue, turn: Turn | None = None) -> None:
        """Keep a row in hand that waits for this turn to begin, or for a flush when no turn is given."""
        self._owned[inbox_id] = owned
        self._waiting[queue][inbox_id] = turn

    def set_apart(self, turn: Turn) -> list[uuid.UUID]:
        """Return the rows of a turn that waits for something else than a slot; they stay in hand, and take no room."""
        mine = []
        for waiting in self._waiting.values():
            mine += [inbox_id for inbox_id, each in waiting.items() if each is turn]
        for inbox_id in mine:
            for waiting in self._waiting.values():
                waiting.pop(inbox_id, None)
        return mine

    def drop(self, inbox_ids: Iterable[uuid.UUID]) -> None:
        """Let go of rows: a flush has written what became of them, or they are to be read again."""
        for inbox_id in inbox_ids:
            if self._owned.pop(inbox_id, None) is not None:
                for waiting in self._waiting.values():
                    waiting.pop(inbox_id, None)

    def void(self, owned: Owned) -> None:
        self.drop([inbox_id for inbox_id, each in self._owned.items() if each is owned])

    def rows_wanted(self) -> dict[Queue, int]:
        """Return how many rows of each queue may be read now."""
        wanted = {}
        for queue in Queue:
            room = self._room(queue)
            if room <= 0:
                self._resting.add(queue)
            elif 2 * room >= self._rows_max:
                self._resting.discard(queue)
            wanted[queue] = 0 if queue in self._resting else min(ROWS_PER_READ, room)
        return wanted

    @property
    def is_resting(self) -> bool:
        """Whether a queue rests, so that due rows in it may be hidden."""
        return bool(self._resting)

    def has_room_again(self) -> bool:
        """Whether a resting queue has room to be read again."""
        return any(2 * self._room(queue) >= self._rows_max for queue in self._resting)

    def _room(self, queue: Queue) -> int:
        waiting = self._waiting[queue]
        self._let_go(waiting)
        return self._rows_max - len(waiting)

    def _let_go(self, waiting: dict[uuid.UUID, Turn | None]) -> None:
        """Stop counting rows whose turn has begun, and let go of rows whose turn left memory without them."""
        for inbox_id, turn in list(waiting.items()):
            if turn is None:
                continue
            is_here = self._scheduler.live.get(turn.turn_id) is turn
            if turn.journal is None and (is_here or turn.is_queued_to_flush):
                continue
            del waiting[inbox_id]
            if turn.journal is None:
                del self._owned[inbox_id]

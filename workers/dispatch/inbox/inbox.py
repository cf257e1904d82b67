"""Reads the rows addressed to turns (signals, cancels, resumes, timers, words of former owners) when they are due.

Rules (I7):
- A row stays due until a flush writes what became of it; a row in hand is not read again.
- No row hides another: rows are read queue by queue (cancels, deadlines, what was said, timers), and each read passes
  over the rows in hand and those that this look has found but cannot take yet.
- Rows that wait for a slot do not hide rows of the same queue that need none, those of turns that run.
- There is no cursor over ids or times: rows become visible in any order, so every look begins anew.
- A look also tells whether turns that other turns started wait to be accepted (accept/starts.py).
- What bounds the reading is how many rows wait in hand (in_hand.py), not a number of pages: a look goes on until
  nothing is left or a queue is full, and the next look follows when half of that queue is done.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import structlog

from argosy.clock import Clock
from argosy.config import Settings
from argosy.ranges import joined
from argosy.rounds import Rounds
from argosy.seal.envelope import OVERHEAD_SIZE_BYTES
from argosy.store.head import DueRow, Heads
from argosy.turn.inbox import Queue
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.inbox.delivery import Delivery
from argosy.workers.dispatch.inbox.in_hand import ROWS_PER_READ
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

log = structlog.get_logger()

_FAILURES_MAX, _FAILURES_KEPT = 5, 1_000
_TIMER_SLACK_S = 0.005  # a look a moment too early would find nothing, and leave the timer to the next look


class AfterLook(Protocol):
    """What Inbox tells."""

    def after_look(self) -> None:
        """Rows were delivered: turns may be ready that were not, and sessions may have to be read."""

    def after_seeing_starts(self) -> None:
        """Turns that other turns started wait in Postgres."""


class Inbox:
    """Takes due rows of the owned partitions; `run` goes on until it is cancelled, and `poke` makes it look at once.

    in_hand: the rows that were read and wait for their turns, or for a flush.
    """

    def __init__(
        self,
        heads: Heads,
        scheduler: Scheduler,
        claims: Claims,
        delivery: Delivery,
        clock: Clock,
        settings: Settings,
        then: AfterLook,
    ) -> None:
        self._heads = heads
        self._scheduler = scheduler
        self._claims = claims
        self._delivery = delivery
        self.in_hand = delivery.in_hand
        self._then = then
        self._interval_s = settings.inbox_interval_s
        self._size_bytes_max = settings.inbox_size_bytes_max
        self._rounds = Rounds("inbox", clock)
        # How often each row could not be taken.
        self._failures: dict[uuid.UUID, int] = {}
        self._work = asyncio.Event()

    def poke(self) -> None:
        """Look at once: a row is due, or one that was found may be taken now. A hint: it may come twice, or never."""
        self._work.set()

    def expect(self, due_s: list[float]) -> None:
        """Rows were written that fall due in due_s: look when the first does, if that is before the next look."""
        if (first_s := min(due_s)) < self._poll_interval_s():
            asyncio.get_running_loop().call_later(first_s + _TIMER_SLACK_S, self._work.set)

    def again(self, turn: Turn) -> None:
        """The turn's last flush is durable: read the rows again that met the turn meanwhile."""
        self.in_hand.drop(turn.take_deferred())
        self._work.set()

    def moved(self, inbox_ids: Iterable[uuid.UUID]) -> None:
        """Let go of rows: a flush has written what became of them, or they are to be read again."""
        self.in_hand.drop(inbox_ids)
        if self.in_hand.has_room_again():
            self._work.set()

    def set_apart(self, turn: Turn) -> list[uuid.UUID]:
        """Return the rows in hand of a turn that waits for something else than a slot: they stay, and take no room."""
        return self.in_hand.set_apart(turn)

    def void(self, owned: Owned) -> None:
        self.in_hand.void(owned)

    async def run(self) -> None:
        while True:
            wait_s = self._poll_interval_s()
            self._work.clear()
            next_due_s: float | None = 0.0  # after an error look at once: Rounds has paused already
            async with self._rounds:
                next_due_s = await self.look()
            if next_due_s is not None:
                wait_s = min(wait_s, next_due_s + _TIMER_SLACK_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._work.wait()
            except TimeoutError:
                pass

    async def look(self) -> float | None:
        """Take all due rows for which there is room. Return in how many seconds the next row falls due, or None."""
        aside: set[uuid.UUID] = set()  # found by this look, and cannot be taken yet
        while True:
            ranges = joined(
                (each.first_bucket, each.last_bucket) for each in self._claims.owned.values() if each.is_served
            )
            if not ranges:
                return None
            wanted = self.in_hand.rows_wanted()
            was_resting = self.in_hand.is_resting
            with self._scheduler.reads.begin() as read:
                known = [*self.in_hand.known, *aside]
                due = await self._heads.due_inbox(ranges, known, wanted, self._size_bytes_max)
                of_running = await self._due_of_running(known) if was_resting else []
            for row in (*of_running, *due):
                self._take(row, read)
                if row.inbox_id not in self.in_hand:
                    aside.add(row.inbox_id)
            self._then.after_look()
            has_more = self._has_more(due, wanted) or len(of_running) >= ROWS_PER_READ
            if not has_more and self.in_hand.is_resting == was_resting:
                waiting = await self._heads.next_due(ranges)
                if waiting.has_starts:
                    self._then.after_seeing_starts()
                return waiting.next_due_s

    async def _due_of_running(self, known: list[uuid.UUID]) -> list[DueRow]:
        """Read due rows of turns that need no slot for them; thousands of rows that wait for a slot may hide these."""
        turn_ids = self._delivery.turns_without_slot()
        return await self._heads.due_of_turns(turn_ids, known, ROWS_PER_READ, self._size_bytes_max)

    def _has_more(self, due: list[DueRow], wanted: dict[Queue, int]) -> bool:
        """Whether a queue may hold further due rows that may be read now: the read reached one of its bounds."""
        found = dict.fromkeys(Queue, 0)
        size_bytes = sum(len(waits or b"") for waits in {row.turn_id: row.waits for row in due}.values())
        for row in due:
            found[row.queue] += 1
            size_bytes += len(row.payload) + OVERHEAD_SIZE_BYTES if row.payload else 0  # as they are stored, or more
        full = {queue for queue in Queue if 0 < wanted[queue] <= found[queue]}
        if size_bytes >= self._size_bytes_max:
            full.add(Queue.SAID)
        return any(self.in_hand.rows_wanted()[queue] for queue in full)

    def _poll_interval_s(self) -> float:
        """Return the seconds between two polls: the smaller a worker's share of the partitions, the longer."""
        return self._interval_s / self._claims.share

    def _take(self, row: DueRow, read: Read) -> None:
        owned = self._claims.serving(row.bucket)
        if row.inbox_id in self.in_hand:
            return  # ReadAhead took it while this was read
        if row.turn_id in read.left:  # the turn left memory during the read, so the row may be out of date: look again
            self._work.set()
        elif owned is not None:
            self.deliver(row, owned)

    def deliver(self, row: DueRow, owned: Owned) -> None:
        """Deliver one row. One that fails stays due, and does not keep others from their turns. The next looks try it
        again; after _FAILURES_MAX failures it stays in hand, for the next claim to read.
        """
        self._outlive(row, owned, partial(self._delivery.take, row, owned))

    def deliver_borrowed(self, row: DueRow, turn: Turn) -> None:
        """Deliver one row to a turn that this worker borrows; one that fails is treated as by `deliver`."""
        self._outlive(row, turn.owned, partial(self._delivery.take_borrowed, row, turn))

    def _outlive(self, row: DueRow, owned: Owned, take: Callable[[], None]) -> None:
        try:
            take()
        except Exception as error:
            self._rounds.say(error, inbox_id=str(row.inbox_id), turn_id=str(row.turn_id), kind=row.kind)
            self._failures[row.inbox_id] = failures = self._failures.pop(row.inbox_id, 0) + 1
            if failures >= _FAILURES_MAX:
                self.in_hand.take(row.inbox_id, owned)
            if len(self._failures) > _FAILURES_KEPT:
                del self._failures[next(iter(self._failures))]

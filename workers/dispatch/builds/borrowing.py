"""The borrower's side of loans: turns of other owners that run here, because this worker has their workflow.

Rules (docs/architecture.md, "Builds"):
- A borrowed turn has an Owned of its own (`owned.is_lent`): its fence is its row. The rest of its session stays with
  the owner.
- While a borrowed turn is here, this worker reads the inbox rows that are addressed to it; they take effect in the
  turn's own flushes alone.
- After each change the borrower pokes the owner, which reads the turn's row.
- Memory holds at most as many borrowed turns as there are slots; further ones wait in Postgres.
- A worker that drains lets steps in flight end, writes their outcomes as in a hand-over, and gives the turns back.
"""

import asyncio
import uuid
from collections.abc import Iterable
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.rounds import Rounds
from argosy.seal.envelope import OVERHEAD_SIZE_BYTES
from argosy.store.build import Borrowed, Loans
from argosy.store.head import DueRow
from argosy.turn.inbox import Fate, RowKind
from argosy.turn.status import ACTIVE, Status
from argosy.workers.dispatch.builds.loan_changes import AfterBorrowing
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.inbox.in_hand import ROWS_PER_READ
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.scheduling.found_turn import turn_of
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

_LOOK_S: Final = 0.5  # without a poke: one may be lost
_PAUSE_S: Final = 0.01  # between two looks: what comes meanwhile is read together


class Borrowing:
    """Loads borrowed turns and delivers what is due for them; `run` goes on until it is cancelled.

    turns: the borrowed turns in memory.
    """

    def __init__(
        self,
        loans: Loans,
        scheduler: Scheduler,
        inbox: Inbox,
        claims: Claims,
        clock: Clock,
        settings: Settings,
        then: AfterBorrowing,
    ) -> None:
        self._loans = loans
        self._scheduler = scheduler
        self._inbox = inbox
        self._in_hand = inbox.in_hand
        self._claims = claims
        self._clock = clock
        self._turns_max = settings.dispatch_slots
        self._size_bytes_max = settings.inbox_size_bytes_max
        self._then = then
        self.turns: dict[uuid.UUID, Turn] = {}
        self._changed: set[int] = set()
        self._has_to_read = self._is_one_left = False
        self._refused: set[uuid.UUID] = set()
        self._work = asyncio.Event()
        self.is_draining = False

    def poke(self) -> None:
        """Look at once: an owner may have lent a turn, or a row may be due for a borrowed one."""
        self._has_to_read = True
        self._work.set()

    def written(self, turns: Iterable[Turn]) -> None:
        """A flush with these turns is durable: poke the owners of borrowed ones, and drop those that rest or ended."""
        if not self.turns:
            return
        for turn in turns:
            if turn.owned.is_lent:
                self._changed.add(turn.bucket)
                if turn.written_status not in ACTIVE and not turn.is_queued_to_flush:
                    self.forget(turn)
        if self._changed:
            self._work.set()

    def forget(self, turn: Turn) -> None:
        """Drop the turn from memory, and let go of its inbox rows."""
        if self.turns.get(turn.turn_id) is turn:
            del self.turns[turn.turn_id]
            self._then.after_forgetting(turn)

    def refused(self, turn: Turn) -> None:
        """Another process has written the turn, so it must not run here any more: drop it, and give the loan back, in
        case Postgres still has it.
        """
        self.forget(turn)
        self._refused.add(turn.turn_id)
        self._changed.add(turn.bucket)
        self.poke()

    async def run(self) -> None:
        rounds = Rounds("borrowing", self._clock)
        while True:
            try:
                async with asyncio.timeout(_LOOK_S if self.turns or self._is_one_left else None):
                    await self._work.wait()
            except TimeoutError:
                self._has_to_read = True
            self._work.clear()
            async with rounds:
                await self.look()
            telemetry.TURNS_BORROWED.set(len(self.turns))
            await self._clock.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Give refused turns back, poke the owners of changed ones, read new loans and due rows if there may be any."""
        if self._refused:
            await self._loans.give_back(list(self._refused), Resume.UNHEARD.value)
            self._refused.clear()
        if self._changed:
            changed, self._changed = self._changed, set()
            self._then.after_changes_of_borrowed(changed)
        if not self._has_to_read:
            return
        self._has_to_read = self._is_one_left = False
        room = self._turns_max - len(self.turns)
        new = [] if self.is_draining or room <= 0 else await self._loans.borrowed(list(self.turns), room)
        made = [self._made(each) for each in new]
        if asked := [*self.turns, *(turn.turn_id for turn in made)]:
            await self._take_due(asked, made)
        if made:
            self._then.after_borrowing()

    async def _take_due(self, asked: list[uuid.UUID], made: list[Turn]) -> None:
        due = await self._loans.due(asked, list(self._in_hand.known), ROWS_PER_READ, self._size_bytes_max)
        await self._begin(made, due)
        for row in due:
            turn = self.turns.get(row.turn_id)
            if turn is not None and row.inbox_id not in turn.seen:
                self._inbox.deliver_borrowed(row, turn)
        is_full = len(due) >= ROWS_PER_READ or _size_of(due) >= self._size_bytes_max
        # Without one that is in hand now, the next look would read the same rows.
        if is_full and any(row.inbox_id in self._in_hand for row in due):
            self.poke()

    def _made(self, each: Borrowed) -> Turn:
        head, partition = each.head, self._claims.partition_of(each.head.bucket)
        resume, now_s = Resume(each.lent_as or Resume.CRASHED), self._clock.monotonic_s()
        owned = Owned.borrowed(partition, head.bucket, resume, now_s, each.epoch)
        turn = turn_of(head, owned)
        if head.has_rows:
            turn.require_load()
        return turn

    async def _begin(self, made: list[Turn], due: list[DueRow]) -> None:
        """Take the turns into memory. A parked one needs a resume among the due rows; without one it is given back."""
        left = []
        for turn in made:
            if turn.status is Status.PARKED:
                resumes = [row for row in due if row.turn_id == turn.turn_id and row.kind == RowKind.RESUME]
                if not resumes:
                    left.append(turn.turn_id)
                    self._changed.add(turn.bucket)
                    continue
                for row in resumes:
                    turn.see(row.inbox_id)
                    turn.move(row.inbox_id, Fate.CONSUMED)
                    self._in_hand.take(row.inbox_id, turn.owned)
            if self._scheduler.found(turn):
                self.turns[turn.turn_id] = turn
            else:
                self._is_one_left = True
        if left:
            await self._loans.give_back(left)
            self._work.set()

    async def give_back(self, turns: list[Turn]) -> None:
        """Return turns to their owners: nothing of them runs here any more, and what they came to is durable."""
        for turn in turns:
            self.forget(turn)
        await self._loans.give_back([turn.turn_id for turn in turns])
        self._then.after_changes_of_borrowed({turn.bucket for turn in turns})


def _size_of(due: list[DueRow]) -> int:
    """Return how large the payloads of these rows are as they are stored, or more."""
    return sum(len(row.payload) + OVERHEAD_SIZE_BYTES for row in due if row.payload)

"""The borrower's side: turns of other owners that run here, because this worker has their workflow.

Rules (docs/architecture.md, "Builds"):
- A borrowed turn has a claim of its own (`owned.is_lent`): its fence is its row. Nothing else of its session comes.
- What is addressed to it is read here while it is here, and takes effect in its own flushes alone.
- Its owner hears when it has changed, and reads what it is now.
- So many are in memory as there are slots; the others of the loans wait in Postgres.
- A worker that ends lets steps in flight end, says what they came to as in a hand-over, and gives the turns back.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from argosy import telemetry
from argosy.clock import Clock
from argosy.rounds import Rounds
from argosy.store.build import Borrowed, Loans
from argosy.store.head import DueRow
from argosy.turn.status import Status
from argosy.workers.dispatch.scheduling.found_turn import turn_of
from argosy.workers.dispatch.turn import Owned, Resume, Turn

_LOOK_S: Final = 0.5
_PAUSE_S: Final = 0.01  # what comes meanwhile is read at once


class Taken(NamedTuple):
    """What others do with a borrowed turn."""

    found: Callable[[Turn], bool]  # it comes into memory; False: its session is being read
    entered: Callable[[Turn], None]
    take: Callable[[DueRow, Turn], None]  # a row that is due for it
    hold: Callable[[uuid.UUID, Owned], None]  # a row of the inbox is in hand
    known: Callable[[], Iterable[uuid.UUID]]  # rows that are in hand
    release: Callable[[Iterable[uuid.UUID]], None]  # they are read again if they are due still
    fill: Callable[[], None]  # slots may be filled
    tell: Callable[[set[int]], None]  # the owners of these buckets look


class Borrowing:
    """Runs until cancelled. turns: what is borrowed and in memory; turns_max: so many at once."""

    def __init__(
        self, loans: Loans, clock: Clock, taken: Taken, *, turns_max: int, partition_of: Callable[[int], int]
    ) -> None:
        self._loans = loans
        self._clock = clock
        self._taken = taken
        self._turns_max = turns_max
        self._partition_of = partition_of
        self.turns: dict[uuid.UUID, Turn] = {}
        self._changed: set[int] = set()
        self._has_to_read = self._is_one_left = False
        self._refused: set[uuid.UUID] = set()
        self._work = asyncio.Event()
        self.is_draining = False

    def poke(self) -> None:
        """Somebody lent something, or something is due for what is here."""
        self._has_to_read = True
        self._work.set()

    def written(self, turns: Iterable[Turn]) -> None:
        """A flush with these turns is durable: the owners of those that are borrowed hear of it."""
        if not self.turns:
            return
        for turn in turns:
            if turn.owned.is_lent:
                self._changed.add(turn.bucket)
                if turn.written_status not in (Status.RUNNING, Status.QUEUED) and not turn.is_queued_to_flush:
                    self.forget(turn)
        if self._changed:
            self._work.set()

    def forget(self, turn: Turn) -> None:
        """It is not here any more."""
        if self.turns.get(turn.turn_id) is turn:
            del self.turns[turn.turn_id]
            self._taken.release([*turn.seen, *turn.moves, *turn.deferred])

    def refused(self, turn: Turn) -> None:
        """Somebody else has written it: whatever Postgres says of the loan, nothing of it runs here any more."""
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
        if self._refused:
            await self._loans.give_back(list(self._refused), Resume.UNHEARD.value)
            self._refused.clear()
        if self._changed:
            changed, self._changed = self._changed, set()
            self._taken.tell(changed)
        if not self._has_to_read:
            return
        self._has_to_read = self._is_one_left = False
        room = self._turns_max - len(self.turns)
        new = [] if self.is_draining or room <= 0 else await self._loans.borrowed(list(self.turns), room)
        made = [self._made(each) for each in new]
        if asked := [*self.turns, *(turn.turn_id for turn in made)]:
            due = await self._loans.due(asked, list(self._taken.known()))
            await self._begin(made, due)
            for row in due:
                turn = self.turns.get(row.turn_id)
                if turn is not None and row.inbox_id not in turn.seen:
                    self._taken.take(row, turn)
        if made:
            self._taken.fill()

    def _made(self, each: Borrowed) -> Turn:
        head = each.head
        owned = Owned(self._partition_of(head.bucket), 0, (head.bucket, head.bucket))
        owned.is_lent = owned.is_open = True
        owned.resume = Resume(each.lent_as or Resume.CRASHED)
        owned.held_at_s = self._clock.monotonic_s()
        turn = turn_of(head, owned)
        turn.needs_load = turn.needs_load or head.has_rows
        return turn

    async def _begin(self, made: list[Turn], due: list[DueRow]) -> None:
        """Turns come into memory; one that was parked goes on by its resume alone."""
        left = []
        for turn in made:
            if turn.status is Status.PARKED:
                resumes = [row for row in due if row.turn_id == turn.turn_id and row.kind == "resume"]
                if not resumes:
                    left.append(turn.turn_id)
                    self._changed.add(turn.bucket)
                    continue
                for row in resumes:
                    turn.see(row.inbox_id)
                    turn.moves[row.inbox_id] = "consumed"
                    self._taken.hold(row.inbox_id, turn.owned)
            self._taken.entered(turn)
            if self._taken.found(turn):
                self.turns[turn.turn_id] = turn
            else:
                self._is_one_left = True
        if left:
            await self._loans.give_back(left)
            self._work.set()

    async def give_back(self, turns: list[Turn]) -> None:
        """Nothing of them runs here any more, and all that they came to is told."""
        for turn in turns:
            self.forget(turn)
        await self._loans.give_back([turn.turn_id for turn in turns])
        self._taken.tell({turn.bucket for turn in turns})

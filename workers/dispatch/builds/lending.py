"""The owner's side of loans: turns that it cannot run, because it lacks their workflow or their version of it.

Rules (docs/architecture.md, "Builds"):
- Such a turn waits in memory without a slot: its session waits with it, and cancels and deadlines find it there.
- A living worker of the lane that has the build borrows it. From the commit of the loan on, the borrower writes the
  turn and takes the inbox rows that are addressed to it, until it rests or has ended; the owner only remembers it.
- When a borrower has died, or was silent for too long, the owner takes its loans back first, and then reads what became
  of the turns.
- A turn is parked when no worker could run it for BUILD_WAIT_S, by the database's clock, whichever worker owned it.
- At most LENT_TURNS_MAX turns are lent at once; further ones wait in memory. Beyond LENT_WAITING_MAX they wait in
  Postgres, and the owner reads the heads again when half of those in memory are gone.
"""

import asyncio
import uuid
from itertools import islice
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.rounds import Rounds
from argosy.store.build import LentTurn, Loan, Loans
from argosy.turn.status import ENDED, Status
from argosy.workers.dispatch.builds.abilities import Abilities
from argosy.workers.dispatch.builds.loan_changes import AfterLending, Back, LetGo, NewLoans, RefusedLoan
from argosy.workers.dispatch.elsewhere import Elsewhere, Lent
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.journal import Park

log = telemetry.logger()

PARK_REASON: Final = "no_build"
_LOOK_S: Final = 0.5  # without a poke: one may be lost
_PAUSE_S: Final = 0.01  # between two looks: what comes meanwhile is read together
_LOANS_MAX: Final = 200  # in one statement
_ASKED_MAX: Final = 100  # in one statement; the next look asks about others


class Lending:
    """Lends turns and looks after loans; `run` goes on until it is cancelled."""

    def __init__(
        self,
        loans: Loans,
        abilities: Abilities,
        elsewhere: Elsewhere,
        admission: Admission,
        clock: Clock,
        settings: Settings,
        then: AfterLending,
    ) -> None:
        self._loans = loans
        self._abilities = abilities
        self._admission = admission
        self._clock = clock
        self._then = then
        self._wait_s = settings.build_wait_s
        self._lent_max = settings.lent_turns_max
        self._waiting_max = settings.lent_waiting_max
        # Each with the inbox rows that came for it before it waited.
        self._waiting: dict[Turn, list[uuid.UUID]] = {}
        # Partitions of which more turns wait than memory holds, with the inbox rows that those turns had in hand.
        self._left_out: dict[Owned, list[uuid.UUID]] = {}
        self._lent = elsewhere.lent
        self._asked_at_s = float("-inf")
        self._work = asyncio.Event()

    def lacks(self, turn: Turn, rows: list[uuid.UUID]) -> None:
        """Take a head that this worker cannot run, with its inbox rows. It holds no slot."""
        if len(self._waiting) >= self._waiting_max:
            self._left_out.setdefault(turn.owned, []).extend([*rows, *turn.seen, *turn.moves])
            self._then.after_no_room(turn)
            return
        self._waiting[turn] = rows
        self._work.set()

    def found(self, turn_id: uuid.UUID, session_id: uuid.UUID, bucket: int, borrower: uuid.UUID, owned: Owned) -> None:
        """Remember a head that was found lent to another worker."""
        self._lent.setdefault(turn_id, Lent(owned, session_id, bucket, borrower, Resume.CRASHED, 0))
        self._work.set()

    def poke(self) -> None:
        """Look at once: a borrower may have changed a turn, or a worker may have come or gone."""
        if self._lent or self._waiting:
            self._work.set()

    def void(self, owned: Owned) -> None:
        """Forget the turns of a lost partition. Their loans go on under its next owner."""
        self._waiting = {turn: rows for turn, rows in self._waiting.items() if turn.owned is not owned}
        for turn_id in [turn_id for turn_id, each in self._lent.items() if each.owned is owned]:
            del self._lent[turn_id]
        self._left_out.pop(owned, None)

    async def run(self) -> None:
        rounds = Rounds("lending", self._clock)
        while True:
            await self._work.wait()
            self._work.clear()
            async with rounds:
                await self.look()
            telemetry.TURNS_WAITING_FOR_BUILD.set(len(self._waiting))
            telemetry.TURNS_LENT.set(len(self._lent))
            await self._clock.sleep(_PAUSE_S)
            if self._lent or self._waiting:
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._work.wait()
                except TimeoutError:
                    self._work.set()

    async def look(self) -> None:
        """Find out what became of the loans, lend what may be lent, and park what has waited for too long."""
        await self._abilities.look()
        if self._lent:
            await self._look_after_lent()
        self._waiting = {turn: rows for turn, rows in self._waiting.items() if turn.is_live and not turn.has_ended}
        await self._lend()
        if self._clock.monotonic_s() - self._asked_at_s >= min(self._wait_s / 4, 5.0):
            self._asked_at_s = self._clock.monotonic_s()
            await self._park()
        if self._left_out and len(self._waiting) < self._waiting_max / 2:
            again, self._left_out = self._left_out, {}
            self._then.after_forgotten_heads({owned: rows for owned, rows in again.items() if not owned.is_void})

    # Lending

    async def _lend(self) -> None:
        wanted: list[tuple[Turn, Loan]] = []
        room = min(_LOANS_MAX, self._lent_max - len(self._lent))
        for turn in self._waiting:
            if len(wanted) >= room:
                break
            borrower = self._abilities.borrower(turn.workflow, turn.version, turn.turn_id)
            if borrower is None or turn.is_queued_to_flush or not self._may_lend(turn.owned):
                continue
            owned = turn.owned
            as_found = turn.resume.value
            loan = Loan(owned.partition, owned.epoch, turn.turn_id, None, borrower, turn.seq, as_found)
            wanted.append((turn, loan))
        if not wanted:
            return
        done = await self._loans.change([loan for _, loan in wanted])
        new = NewLoans([], {})
        for turn, loan in wanted:
            if turn.turn_id in done and loan.lent_to is not None:
                new.buckets.setdefault(loan.lent_to, set()).add(turn.bucket)
                if (gone := self._gave(turn, loan.lent_to)) is not None:
                    new.turns.append(gone)
        self._then.after_new_loans(new)
        if len(wanted) == _LOANS_MAX:
            self._work.set()
        if refused := [turn for turn, _ in wanted if turn.turn_id not in done and turn in self._waiting]:
            await self._compare(refused)

    async def _compare(self, refused: list[Turn]) -> None:
        """Read turns again that Postgres refused to lend: they are not as memory has them, or another process was
        writing them. What Postgres has is right.
        """
        rows = {row.turn_id: row for row in await self._loans.lent([turn.turn_id for turn in refused])}
        for turn in refused:
            row = rows.get(turn.turn_id)
            is_as_here = row is not None and (row.status, row.seq) == (turn.status, turn.seq)
            is_lent = row is not None and row.lent_to is not None and row.status == Status.RUNNING
            if turn not in self._waiting or turn.is_queued_to_flush or (is_as_here and not is_lent):
                continue
            gone = LetGo(turn, [*self._waiting.pop(turn), *turn.seen, *turn.moves])
            if row is not None and row.lent_to is not None and row.status == Status.RUNNING:
                self.found(turn.turn_id, turn.session_id, turn.bucket, row.lent_to, turn.owned)
                self._then.after_refused_loan(RefusedLoan(gone, None))
                continue
            resume = Resume.UNHEARD if row is not None and row.status == Status.RUNNING else None
            back = Back(turn.turn_id, turn.session_id, turn.bucket, turn.owned, resume)
            self._then.after_refused_loan(RefusedLoan(gone, back))

    def _gave(self, turn: Turn, borrower: uuid.UUID) -> LetGo | None:
        """Remember that the turn is lent. Return what waits here no more, or None when the turn is not ours to lend."""
        rows = self._waiting.pop(turn, [])
        if turn.owned.is_void or turn.has_ended or not turn.is_live:
            return None  # the turn changed during the loan; the owner's write of that takes the loan back
        self._lent[turn.turn_id] = Lent(turn.owned, turn.session_id, turn.bucket, borrower, turn.resume, turn.seq)
        return LetGo(turn, [*rows, *turn.seen, *turn.moves])

    def _may_lend(self, owned: Owned) -> bool:
        return self._admission.is_open and not owned.is_closing

    # Loans

    async def _look_after_lent(self) -> None:
        asked = dict(self._lent)
        rows = {row.turn_id: row for row in await self._loans.lent(list(asked))}
        gone: list[tuple[uuid.UUID, Lent]] = []
        borrowers: dict[uuid.UUID, set[int]] = {}
        for turn_id, each in asked.items():
            row = rows.get(turn_id)
            if self._lent.get(turn_id) is not each:
                continue
            if row is None or row.lent_to != each.borrower or Status(row.status) in ENDED:
                self._is_back(turn_id, each, row)
                continue
            if row.seq != each.seq:
                self._lent[turn_id] = each._replace(seq=row.seq)
                self._then.after_events_of_lent(turn_id, each)
            if not self._abilities.is_living(each.borrower):
                gone.append((turn_id, self._lent[turn_id]))
            else:
                borrowers.setdefault(each.borrower, set()).add(each.bucket)
        self._then.after_living_borrowers(borrowers)
        for first in range(0, len(gone), _LOANS_MAX):
            await self._take_back(gone[first : first + _LOANS_MAX])

    async def _take_back(self, gone: list[tuple[uuid.UUID, Lent]]) -> None:
        """Take loans back from dead borrowers: from the commit on, Postgres refuses whatever they still write."""
        loans = [
            Loan(each.owned.partition, each.owned.epoch, turn_id, each.borrower, None, 0, Resume.CRASHED.value)
            for turn_id, each in gone
        ]
        done = await self._loans.change(loans)
        if not done:
            return
        log.warning(telemetry.LOANS_TAKEN_BACK, turns=len(done))
        rows = {row.turn_id: row for row in await self._loans.lent(list(done))}
        for turn_id, each in gone:
            if turn_id in done and self._lent.get(turn_id) is each:
                self._is_back(turn_id, each, rows.get(turn_id))

    def _is_back(self, turn_id: uuid.UUID, each: Lent, row: LentTurn | None) -> None:
        """A loan is over: the turn rests, has ended, or its borrower does not run it any more.

        A turn that was running goes on as its row says (lent_as), not as this process would conclude: the answer to a
        take-back may have been lost.
        """
        del self._lent[turn_id]
        word = None if row is None or row.lent_to is not None else row.lent_as
        resume = Resume(word or Resume.MOVED)
        is_running = row is not None and row.status == Status.RUNNING
        back = Back(turn_id, each.session_id, each.bucket, each.owned, resume if is_running else None)
        self._then.after_loan(back)

    # Waiting for too long

    async def _park(self) -> None:
        asked = [turn for turn in islice(self._waiting, _ASKED_MAX) if not turn.is_queued_to_flush]
        if not asked:
            return
        late = await self._abilities.lacking([turn.turn_id for turn in asked], self._wait_s)
        for turn in asked:
            rows = self._waiting.pop(turn, None)
            if rows is None:
                continue
            if turn.turn_id not in late or turn.has_ended or not turn.is_live or turn.is_queued_to_flush:
                self._waiting[turn] = rows  # behind the others, so that each look asks about others
                continue
            what = f"{turn.workflow!r}" + (f" version {turn.version!r}" if turn.version else "")
            message = f"no worker of its lane has had the workflow {what} for {self._wait_s:g} s (BUILD_WAIT_S)"
            self._then.after_no_build(LetGo(turn, rows), Park(PARK_REASON, message))
        if late:
            self._asked_at_s = float("-inf")
            self._work.set()

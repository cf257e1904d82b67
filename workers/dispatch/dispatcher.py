"""What follows from what happens in a worker: one method per fact, which calls the parts that it concerns.

Rules:
- The order of the calls is the order in which they must be made. Nothing is awaited between a fact and what follows,
  but for one pass of the loop after a flush.
- What is done for one of many turns or partitions is outlived: its error is logged, and the others are served.
- Nothing is kept here, and no part decides here: parts decide, each by itself, what a call means for them.
"""

import asyncio
import uuid
from collections.abc import Sequence

import structlog

from argosy import telemetry
from argosy.consuming.log_guard import LogGuard
from argosy.log import LogReader
from argosy.rounds import Rounds
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.store.worker import Told
from argosy.workers.dispatch.accept.accepted import Accepted
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.accept.starts import Starts
from argosy.workers.dispatch.builds.borrowing import Borrowing
from argosy.workers.dispatch.builds.lending import Lending
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.flush.flush_queue import Flushed, Refused
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.inbox.read_ahead import ReadAhead
from argosy.workers.dispatch.others import Others
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.ownership.changes import Loss, NewClaim, Released, by_former_owner
from argosy.workers.dispatch.ownership.handover import Handover
from argosy.workers.dispatch.ownership.ownership import Ownership
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.ring import RingWorker
from argosy.workers.dispatch.scheduling.histories import unreadable
from argosy.workers.dispatch.scheduling.loading import Unreadable
from argosy.workers.dispatch.scheduling.pager import Pager
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.stream.hub import Hub
from argosy.workers.dispatch.tasks import Background
from argosy.workers.dispatch.turn import Turn

log = structlog.get_logger()


class Dispatcher:
    """Tells the parts of a worker what happened. `Parts` sets each of the attributes below as it makes the part."""

    reader: LogReader
    database_clock: DatabaseClock
    scheduler: Scheduler
    pager: Pager
    executor: Executor
    inbox: Inbox
    ahead: ReadAhead
    intake: Intake
    starts: Starts
    ownership: Ownership
    takeover: Takeover
    log_guard: LogGuard
    handover: Handover
    lending: Lending
    borrowing: Borrowing
    hub: Hub
    others: Others

    def __init__(self, rounds: Rounds, claims: Claims, background: Background) -> None:
        self._rounds = rounds
        self._claims = claims
        self._background = background

    # Records became turns

    def after_accept(self, accepted: Accepted) -> None:
        self.database_clock.set(accepted.at)
        for turn, is_head in accepted.placed:
            try:  # not Rounds.outlive: a context manager for each turn costs a microsecond
                self.scheduler.accepted(turn, is_head, accepted.read)
            except Exception as error:  # the turn is safe in Postgres; the others must still come into memory
                self._rounds.say(error, turn_id=str(turn.turn_id))
        for turn_id in accepted.settled:
            with self._rounds.outlive(turn_id=str(turn_id)):
                self.hub.look(turn_id)
        if accepted.lost:
            self.after_losses(accepted.lost)
        if accepted.placed or accepted.settled:
            self.after_freeing()

    # A flush was answered

    def after_refusal(self, refused: Refused) -> None:
        if refused.inbox_ids:
            self.inbox.moved(refused.inbox_ids)  # they are still due: they are read again
        for turn in refused.turns:
            telemetry.TURNS_REFUSED.inc()
            if not turn.owned.is_void:  # what is of a lost partition, after_loss sees to
                log.warning(telemetry.TURN_REFUSED, turn_id=str(turn.turn_id), status=turn.status)
                self.executor.dropped(turn)
                self.after_misreading(turn)
        if refused.lost:
            self.after_losses(refused.lost)
        self.pager.nudge()

    async def after_flush(self, flushed: Flushed) -> None:
        subscribers = self.hub.subscribers
        subscribers.lineage = flushed.answer.lineage
        if subscribers.count:
            with self._rounds.outlive():
                self.hub.written(flushed.answer, flushed.entries)
        # Who awaited the flush goes on, and followers hear of the events, before anything that the flush sets going.
        await asyncio.sleep(0)
        if rows_due_s := flushed.rows_due_s():
            with self._rounds.outlive():
                self.inbox.expect(rows_due_s)
            with self._rounds.outlive():
                if addressed := flushed.addressed():
                    self.starts.poke()
                    self._background.spawn(self.others.tell_owners(addressed, self._claims))
        if inbox_ids := flushed.moved():
            with self._rounds.outlive():
                self.inbox.moved(inbox_ids)
        if flushed.placements:
            with self._rounds.outlive():
                for each in flushed.placements:
                    self.scheduler.more(each.session_id, each.bucket, each.owned)
                self.pager.nudge()
                for each in flushed.placements:
                    with self._rounds.outlive(turn_id=str(each.turn_id)):
                        self.hub.look(each.turn_id, each.session_id)
        with self._rounds.outlive():
            turns = flushed.turns()
            self.executor.written(turns, flushed.answer.at.timestamp())
            if self.borrowing.turns:
                self.borrowing.written(turns)

    def after_parking(self, inbox_ids: list[uuid.UUID]) -> None:
        self.inbox.moved(inbox_ids)

    # Partitions

    def after_claim(self, claimed: list[NewClaim]) -> None:
        """Find out what the former owners left, who hear that they are asked."""
        self.takeover.begin(claimed)
        self.others.ask(by_former_owner(claimed))

    def after_opening(self, opened: list[Owned]) -> None:
        with self._rounds.outlive():
            self.hub.opened(opened)
        self.pager.claimed(opened)
        self.inbox.poke()

    def after_release(self, released: Released) -> None:
        telemetry.HANDOVERS.labels(outcome=released.resume.value).inc()
        self.take_up(released.turn_id, released.owned, released.resume)
        self.inbox.poke()  # rows that stayed due while the turn was held can be taken now

    def after_losses(self, lost: list[Owned]) -> None:
        self.ownership.lost(lost)

    def after_loss(self, gone: list[Owned]) -> None:
        """Let all parts forget these partitions. What memory knows of them is asked first. Their code is told to begin
        nothing new before followers hear of the loss, who then see what still runs, and before slots are freed: what
        still runs keeps its slot.
        """
        losses = [
            Loss(
                each,
                self.scheduler.void(each),
                self.pager.has_unread(each),
                self.pager.is_taking_up(each) or self.takeover.has_doubts(each),
            )
            for each in gone
        ]
        self.handover.begin(losses)
        with self._rounds.outlive():
            self.hub.gone(losses)
        for owned in gone:
            self.executor.forget(owned)
            self.inbox.void(owned)
            self.lending.void(owned)

    def after_handover(self, turn: Turn) -> None:
        self.executor.handed_over(turn)
        with self._rounds.outlive(turn_id=str(turn.turn_id)):
            self.hub.done(turn)

    def after_telling(self, turn: Turn) -> None:
        self._background.spawn(self.others.tell(turn))

    # Turns

    def after_freeing(self) -> None:
        """Turns came, or slots became free: fill slots and read on, if anything waits to be read."""
        if self.scheduler.has_to_page or any(self.pager.for_room):
            self.pager.nudge()
        self.executor.fill()
        self.intake.balance()
        telemetry.RUNNING.set(self.executor.admission.running)
        telemetry.READY_SESSIONS.set(self.scheduler.ready_count)

    def after_misreading(self, turn: Turn) -> None:
        """Drop a turn from memory and read it again, alone: what Postgres has of it is right. That its code was broken
        off here is no crash. Inbox rows that it had in hand are due as before. A borrowed turn goes back to its owner.
        """
        self.scheduler.left(turn)
        self.inbox.moved(turn.rows)
        if turn.owned.is_lent:
            self.borrowing.refused(turn)
            return
        self.scheduler.more(turn.session_id, turn.bucket, turn.owned)
        self.take_up(turn.turn_id, turn.owned, Resume.UNHEARD)
        self.pager.nudge()
        self.inbox.poke()

    def take_up(self, turn_id: uuid.UUID, owned: Owned, resume: Resume) -> None:
        """Read a turn that is running in Postgres into memory."""
        self._background.spawn(self.pager.take_up(turn_id, owned, resume))

    def after_pick(self, turn: Turn) -> None:
        self.pager.load(turn)

    def after_load(self, turn: Turn) -> None:
        self.executor.begin(turn)

    def after_unreadable(self, turn: Turn, why: Unreadable) -> None:
        self.executor.set_aside(turn, why)

    def after_failed_start(self, turn: Turn, error: Exception) -> None:
        self._rounds.say(error, turn_id=str(turn.turn_id))
        self.executor.set_aside(turn, unreadable(error))

    def after_bug(self, turn: Turn, bug: Exception) -> None:
        self._rounds.say(bug, turn_id=str(turn.turn_id))
        self.executor.broken_off(turn)

    def after_paging(self) -> None:
        self.executor.fill()

    def after_deferral(self, turn: Turn) -> None:
        self.inbox.again(turn)

    def after_look(self) -> None:
        self.pager.nudge()
        self.executor.fill()

    def after_seeing_starts(self) -> None:
        self.starts.poke()

    def after_reading_ahead(self, row: DueRow, owned: Owned) -> None:
        """A signal was read before it was due."""
        self.inbox.deliver(row, owned)
        self.executor.fill()

    def after_hastening(self) -> None:
        self.inbox.poke()

    def after_lack(self, turn: Turn) -> None:
        self.lending.lacks(turn, self.inbox.set_apart(turn))

    # Loans

    def after_lent_head(self, row: Head | LoadedTurn, owned: Owned) -> None:
        if row.lent_to is not None:
            self.lending.found(row.turn_id, row.session_id, row.bucket, row.lent_to, owned)

    # What others say

    def after_poke(self, buckets: Sequence[int]) -> None:
        """Rows are due in these buckets, or turns were lent or came back. Those that this worker does not own concern
        turns that it borrows.
        """
        mine = sum(self._claims.of(each) is not None for each in buckets) if self._claims.are_known else 0
        if mine:
            self.inbox.poke()
            self.lending.poke()
        if self.borrowing.turns or mine < len(buckets):
            self.borrowing.poke()

    def after_signal(self, turns: Sequence[tuple[str, uuid.UUID]]) -> None:
        """Signals to these turns, each with its tenant, are being written."""
        self.ahead.poke(turns)

    def after_append(self) -> None:
        self.reader.wake()

    def after_rival_claim(self, partitions: Sequence[int]) -> None:
        self.ownership.claimed_by_others(partitions)

    def after_heartbeat(self, told: Told) -> None:
        self.log_guard.heard(told)
        self.ownership.lineage(told.lineage)

    def after_workers(self, workers: list[RingWorker]) -> None:
        self.ownership.workers(workers)
        self.lending.poke()

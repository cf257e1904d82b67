"""Delivers due rows to their turns, by the state of each turn: everything of the inbox but the reading.

Rules (I7):
- A row is consumed in the flush of its effect, and stays due until then.
- A turn that a row wakes comes into memory without its history, which is read when the turn has a slot.
- A deadline needs only the turn's row: neither its history nor room for it in memory. The same holds for a cancel
  of a turn whose code has not begun, which is parked, or which waits for something else than a slot. Other code is told
  of its cancel when it has a slot (execution/cancels.py), and the cancel stays due until the turn has ended.
- While a former owner may still deliver the outcome of a step, what would wake the turn stays due.
- A row that meets a turn between its last line of code and the commit of its last flush is read again after that.
"""

import uuid
from typing import Final, Protocol

from argosy import telemetry
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.turn.events import Event
from argosy.turn.inbox import TIMERS_OF_TURNS, Fate, RowKind
from argosy.turn.status import ENDED, Status
from argosy.workers.dispatch.elsewhere import Elsewhere, Lent
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.flush.flush_queue import LooseMove, Placement
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.inbox.in_hand import InHand
from argosy.workers.dispatch.inbox.inbox_rule import Action, decide, decide_held, decide_unread, waits_for
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.scheduling.found_turn import turn_of
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workers.dispatch.writes import Result

# What becomes of a row that takes effect while its turn is only in Postgres, and leaves it there.
_WITHOUT_TURN: Final = {
    Action.BUFFER: Fate.BUFFERED,
    Action.DELETE: Fate.DELETED,
    Action.LATE: Fate.LATE,
    Action.PLACE: Fate.DELETED,
    Action.SAID: Fate.CONSUMED,
}


class AfterDelivery(Protocol):
    """What Delivery tells."""

    def after_row_of_lent(self, lent: Lent) -> None:
        """A row is due for a turn that is lent: its borrower takes the row."""


class Delivery:
    """Delivers due rows. in_hand: the rows that wait for a flush, or for their turns to begin."""

    def __init__(
        self,
        scheduler: Scheduler,
        executor: Executor,
        flusher: Flusher,
        takeover: Takeover,
        elsewhere: Elsewhere,
        in_hand: InHand,
        then: AfterDelivery,
    ) -> None:
        self._scheduler = scheduler
        self._executor = executor
        self._flusher = flusher
        self._takeover = takeover
        self._elsewhere = elsewhere
        self.in_hand = in_hand
        self._then = then

    def take(self, row: DueRow, owned: Owned) -> None:
        """Deliver the row, or leave it due: then it is not in hand afterwards."""
        if (lent := self._elsewhere.lent.get(row.turn_id)) is not None:
            self._then.after_row_of_lent(lent)
            return
        turn = self._scheduler.live.get(row.turn_id)
        if row.head is None:
            self._move(row, owned, Fate.LATE)  # the log was read far enough: the turn will never come
        elif turn is None:
            self._take_absent(row, owned, row.head)
        elif turn.owned is owned and row.inbox_id not in turn.seen:
            self._take_present(row, owned, turn)

    def take_borrowed(self, row: DueRow, turn: Turn) -> None:
        """Deliver a row to a turn that this worker borrows."""
        self._take_present(row, turn.owned, turn)

    def turns_without_slot(self) -> list[uuid.UUID]:
        """Return the turns that need no slot for their rows: they run, or a step of theirs runs elsewhere."""
        running = (turn.turn_id for turn in self._scheduler.live.values() if turn.journal is not None)
        return [*running, *self._elsewhere.held]

    def _take_absent(self, row: DueRow, owned: Owned, head: Head | LoadedTurn) -> None:
        """Deliver a row whose turn is only in Postgres: delayed, behind others, suspended, parked, ended, or held for a
        former owner.
        """
        action = self._action(row, Status(head.status))
        if (to := _WITHOUT_TURN.get(action)) is not None:
            self._move(row, owned, to)
            self._scheduler.reads.took(row.turn_id)
        if action is Action.SAID:
            self._takeover.said(row.turn_id, row.name)
        elif action is Action.PLACE:
            self._flusher.place(Placement(owned, row.turn_id, head.session_id, head.bucket))
        elif action is Action.CANCEL:
            self._cancel_absent(row, owned, head)
        elif action in (Action.END, Action.EXPIRE):
            # A held turn stays held until its end is durable: until then, a note to the next owner must list it.
            turn = turn_of(head, owned)
            self._scheduler.live[turn.turn_id] = turn
            self._end(row, owned, turn, action)
        elif action in (Action.WAKE, Action.RESUME):
            turn = turn_of(head, owned)
            if self._scheduler.found(turn):
                self.in_hand.hold(row.inbox_id, owned, row.queue, turn)
                if action is Action.RESUME:
                    turn.see(row.inbox_id)
                    turn.move(row.inbox_id, Fate.CONSUMED)
                elif row.kind == RowKind.TIMER:
                    turn.see(row.inbox_id)
                    turn.fire(row.correlation, row.inbox_id)
                # A signal is read with the history, among the others in the order in which they were sent.

    def _action(self, row: DueRow, status: Status) -> Action:
        """Return what the row does to a turn that is not in memory."""
        if self._elsewhere.is_held(row.turn_id) and status not in ENDED:
            return decide_held(row.kind, row.name, status, waits_for(row.waits, row))
        if status is Status.RUNNING:  # the turn ran before a claim, and its head is not read yet
            return decide_unread(row.kind, row.name)
        return decide(row.kind, row.name, status, waits_for(row.waits, row))

    def _take_present(self, row: DueRow, owned: Owned, turn: Turn) -> None:
        """Deliver a row whose turn is in memory: it waits for its slot, runs, or has come to its last flush."""
        journal = turn.journal
        has_begun = journal is not None
        if turn.has_ended or turn.stop is not None or (has_begun and turn.status is not Status.RUNNING):
            self.in_hand.take(row.inbox_id, owned)
            turn.defer(row.inbox_id)
            return
        # A turn that waits for its slot is treated like a running one: it will find in memory what comes now.
        status = Status.RUNNING if turn.status is not Status.QUEUED or row.kind == RowKind.TIMER else turn.status
        action = decide(row.kind, row.name, status, waits_for=True)
        if action is Action.STAY:
            return
        self.in_hand.hold(row.inbox_id, owned, row.queue, turn)
        if row.kind == RowKind.STEP_RESULT and not has_begun:  # whether or not its history was read before this
            turn.see(row.inbox_id)
            turn.receive_result(Result(row.inbox_id, row.name, row.correlation, row.payload or b"{}"))
            return
        if row.kind == RowKind.TIMER and row.name in TIMERS_OF_TURNS:
            action = decide(row.kind, row.name, turn.status, waits_for=True)
        execution = turn.execution
        if action is Action.CANCEL and journal and journal.is_new and execution and not execution.has_begun:
            self._end(row, owned, turn, action)  # begun, but none of its code ever ran, here or elsewhere
        elif action is Action.CANCEL and (has_begun or self._executor.will_begin(turn)):
            self._cancel(row, turn)
        elif action in (Action.CANCEL, Action.END, Action.EXPIRE):
            self._end(row, owned, turn, action)
        elif action in (Action.LATE, Action.DELETE):
            self._move(row, owned, Fate.LATE if action is Action.LATE else Fate.DELETED, turn)
        elif row.kind == RowKind.TIMER:
            turn.see(row.inbox_id)
            if journal is not None:
                journal.fire(row.correlation, row.inbox_id)
            else:
                turn.fire(row.correlation, row.inbox_id)
        else:
            turn.see(row.inbox_id)
            signal = Signal(row.inbox_id, row.name, row.payload or b"null")
            if journal is not None:
                journal.deliver(signal)
            else:
                turn.receive(signal)
                self._move(row, owned, Fate.BUFFERED, turn)

    def _cancel_absent(self, row: DueRow, owned: Owned, head: Head | LoadedTurn) -> None:
        """Cancel a turn that is suspended, or held for a former owner. When memory is busy with its session, the
        row stays due.
        """
        if self._elsewhere.is_held(row.turn_id):
            self._takeover.hurry(row.turn_id)
            return
        turn = turn_of(head, owned)
        if self._scheduler.found(turn):
            self.in_hand.hold(row.inbox_id, owned, row.queue, turn)
            self._cancel(row, turn)

    def _cancel(self, row: DueRow, turn: Turn) -> None:
        """Tell the code of a turn that runs, or will, of its cancel. The row stays due."""
        turn.see(row.inbox_id)
        turn.cancel_by(row.inbox_id)
        self._scheduler.hurry(turn)
        self._executor.cancels.take(turn)

    def _end(self, row: DueRow, owned: Owned, turn: Turn, action: Action) -> None:
        self.in_hand.hold(row.inbox_id, owned, row.queue, turn)
        turn.move(row.inbox_id, Fate.CONSUMED if row.kind == RowKind.CANCEL else Fate.DELETED)
        if action is not Action.EXPIRE:
            if turn.execution is None:
                self._executor.end(turn, Status.CANCELLED, Event.TURN_CANCELLED)
            else:
                self._executor.stop(turn, Stop.CANCEL)
        elif turn.journal is None:
            self._executor.end(turn, Status.EXPIRED, Event.TURN_EXPIRED)
        elif turn.cancel_until_s is not None:
            self._executor.cancels.cut_off(turn, "was not done when its deadline passed")
        else:
            self._executor.stop(turn, Stop.EXPIRE)

    def _move(self, row: DueRow, owned: Owned, to: Fate, turn: Turn | None = None) -> None:
        telemetry.INBOX.labels(kind=row.kind, outcome=to).inc()
        if owned.is_lent and turn is not None:  # a borrowed turn: the move is written with the turn, under its fence
            self.in_hand.take(row.inbox_id, owned)
            turn.see(row.inbox_id)
            turn.move(row.inbox_id, to)
            if turn.journal is not None:
                self._flusher.add(turn)
            return
        self.in_hand.hold(row.inbox_id, owned, row.queue)
        self._flusher.move(LooseMove(owned, row.inbox_id, to))

"""What follows from what happens to loans of turns: as in dispatcher.py, one method per fact, by the same rules."""

import uuid
from collections.abc import Iterable

from argosy.rounds import Rounds
from argosy.workers.dispatch.builds.loan_changes import Back, LetGo, NewLoans, RefusedLoan
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.elsewhere import Lent
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.others import Others
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.pager import Pager
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.stream.hub import Hub
from argosy.workers.dispatch.tasks import Background
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.journal import Park


class LoanDispatcher:
    """Tells the parts of a worker what happened to loans. `Parts` sets the attributes below as it makes the parts."""

    scheduler: Scheduler
    pager: Pager
    executor: Executor
    inbox: Inbox
    hub: Hub
    others: Others

    def __init__(self, rounds: Rounds, claims: Claims, background: Background) -> None:
        self._rounds = rounds
        self._claims = claims
        self._background = background

    # The owner's side

    def after_new_loans(self, new: NewLoans) -> None:
        for turn, rows in new.turns:
            with self._rounds.outlive(turn_id=str(turn.turn_id)):
                self.scheduler.left(turn)
                self._let_go(rows)
        self.after_living_borrowers(new.buckets)

    def after_refused_loan(self, refused: RefusedLoan) -> None:
        self.scheduler.left(refused.gone.turn)
        if refused.back is not None:
            self._read(refused.back)
        self._let_go(refused.gone.rows)

    def after_living_borrowers(self, buckets: dict[uuid.UUID, set[int]]) -> None:
        for borrower, of_borrower in buckets.items():
            self.others.tell_borrower(borrower, of_borrower)

    def after_row_of_lent(self, lent: Lent) -> None:
        """A row is due for a turn that another worker borrows."""
        self.others.tell_borrower(lent.borrower, [lent.bucket])

    def after_events_of_lent(self, turn_id: uuid.UUID, lent: Lent) -> None:
        with self._rounds.outlive(turn_id=str(turn_id)):
            self.hub.look(turn_id, lent.session_id)

    def after_loan(self, back: Back) -> None:
        with self._rounds.outlive(turn_id=str(back.turn_id)):
            self.hub.look(back.turn_id, back.session_id)
        self._read(back)

    def after_no_build(self, gone: LetGo, why: Park) -> None:
        self.executor.park(gone.turn, why)
        self._let_go(gone.rows)

    def after_no_room(self, turn: Turn) -> None:
        self.scheduler.left(turn)

    def after_forgotten_heads(self, rows: dict[Owned, list[uuid.UUID]]) -> None:
        self.pager.claimed(list(rows))
        self.pager.nudge()
        for inbox_ids in rows.values():
            self._let_go(inbox_ids)

    def _let_go(self, inbox_ids: Iterable[uuid.UUID]) -> None:
        """Let rows be read again, as far as they are still due."""
        self.inbox.moved(inbox_ids)
        self.inbox.poke()

    def _read(self, back: Back) -> None:
        """Read into memory what Postgres has of the turn, or what it has of its session now."""
        if back.resume is not None:
            self._background.spawn(self.pager.take_up(back.turn_id, back.owned, back.resume))
            return
        self.scheduler.more(back.session_id, back.bucket, back.owned)
        self.pager.nudge()
        self.inbox.poke()

    # The borrower's side

    def after_borrowing(self) -> None:
        self.executor.fill()

    def after_changes_of_borrowed(self, buckets: set[int]) -> None:
        self._background.spawn(self.others.tell_owners(buckets, self._claims))

    def after_forgetting(self, turn: Turn) -> None:
        self.inbox.moved(turn.rows)

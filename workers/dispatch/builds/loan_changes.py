"""What becomes of loans: facts that Lending and Borrowing hand to the rest of the worker."""

import uuid
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from argosy.workers.dispatch.elsewhere import Lent
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.journal import Park


class LetGo(NamedTuple):
    """A turn that waits here no more. rows: the inbox rows that it had in hand."""

    turn: Turn
    rows: list[uuid.UUID]


class Back(NamedTuple):
    """A turn that is its owner's to run. resume: how it goes on, running in Postgres; None: it does not run there, and
    its session tells what comes next.
    """

    turn_id: uuid.UUID
    session_id: uuid.UUID
    bucket: int
    owned: Owned
    resume: Resume | None


@dataclass(slots=True, eq=False)
class NewLoans:
    """Loans that are committed. turns: those that waited here until then; buckets: of all of them, by borrower."""

    turns: list[LetGo]
    buckets: dict[uuid.UUID, set[int]]


@dataclass(slots=True, eq=False)
class RefusedLoan:
    """A turn that Postgres did not lend, because it is not as memory has it. back: what it is; None: it is lent."""

    gone: LetGo
    back: Back | None


class AfterLending(Protocol):
    """What Lending tells."""

    def after_new_loans(self, new: NewLoans) -> None:
        """Turns were lent."""

    def after_refused_loan(self, refused: RefusedLoan) -> None:
        """A turn was not lent, and memory has it wrongly."""

    def after_living_borrowers(self, buckets: dict[uuid.UUID, set[int]]) -> None:
        """These workers live, and borrow turns in these buckets: an earlier hint may not have reached them."""

    def after_events_of_lent(self, turn_id: uuid.UUID, lent: Lent) -> None:
        """A borrower has written durable events of the turn."""

    def after_loan(self, back: Back) -> None:
        """A loan is over."""

    def after_no_build(self, gone: LetGo, why: Park) -> None:
        """No worker has had the turn's build for too long."""

    def after_no_room(self, turn: Turn) -> None:
        """A turn lacks its build, and so many wait that memory has no room. Its rows stay in hand until it has."""

    def after_forgotten_heads(self, rows: dict[Owned, list[uuid.UUID]]) -> None:
        """Memory had no room for heads of these partitions, and has some now. rows: what those had in hand."""


class AfterBorrowing(Protocol):
    """What Borrowing tells."""

    def after_borrowing(self) -> None:
        """Borrowed turns came into memory."""

    def after_changes_of_borrowed(self, buckets: set[int]) -> None:
        """Borrowed turns in these buckets have changed, or go back."""

    def after_forgetting(self, turn: Turn) -> None:
        """A borrowed turn is not here any more."""

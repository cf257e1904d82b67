"""What follows from what happens to loans: which parts are called, and in which order."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from argosy.clock import SystemClock
from argosy.rounds import Rounds
from argosy.turn.status import Status
from argosy.workers.dispatch.builds.loan_changes import Back, LetGo, NewLoans, RefusedLoan
from argosy.workers.dispatch.elsewhere import Lent
from argosy.workers.dispatch.loan_dispatcher import LoanDispatcher
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.journal import Park
from tests.dispatch.joined_parts import SUSPENDED, Parts, catalog, due_row, loaded, make_owned, make_turn
from tests.dispatch.test_after_flush import note

OWNED = make_owned()
BORROWER, OTHER = uuid.uuid4(), uuid.uuid4()
ROWS = [uuid.uuid4(), uuid.uuid4()]
LET_GO = [("inbox.moved", ROWS), ("inbox.poke",)]


class Calls:
    """In place of a part: every method notes its call in `heard` and returns what the call was, or fails."""

    def __init__(self, name: str, heard: list[tuple[Any, ...]]) -> None:
        self._name = name
        self._heard = heard
        self.failing: set[Any] = set()

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> tuple[Any, ...]:
            each = f"{self._name}.{method}", *arguments
            self._heard.append(each)
            if arguments and isinstance(arguments[0], Turn | uuid.UUID) and arguments[0] in self.failing:
                raise KeyError("nobody thought of it")
            return each

        return call


class Loans(LoanDispatcher):
    """The dispatcher of loans over parts that only note what they are told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        of: dict[str, Any] = {
            name: Calls(name, self.heard) for name in ["claims", "background", *LoanDispatcher.__annotations__]
        }
        super().__init__(Rounds("loans", SystemClock()), of["claims"], of["background"])
        vars(self).update({name: of[name] for name in LoanDispatcher.__annotations__})
        self.parts = of


def back(resume: Resume | None) -> Back:
    return Back(uuid.uuid4(), uuid.uuid4(), 5, OWNED, resume)


def reading(each: Back) -> list[tuple[Any, ...]]:
    """The calls by which a turn, or its session, is read."""
    if each.resume is None:
        return [("scheduler.more", each.session_id, each.bucket, OWNED), ("pager.nudge",), ("inbox.poke",)]
    take_up = ("pager.take_up", each.turn_id, OWNED, each.resume)
    return [take_up, ("background.spawn", take_up)]


RESUMES = pytest.mark.parametrize("resume", [None, *Resume])


def test_turns_that_are_lent_leave_memory_with_their_rows_before_a_borrower_hears_of_them() -> None:
    loans, turns = Loans(), [make_turn(OWNED) for _ in range(2)]

    loans.after_new_loans(NewLoans([LetGo(turns[0], ROWS), LetGo(turns[1], [])], {BORROWER: {1, 2}, OTHER: {3}}))

    assert loans.heard == [
        ("scheduler.left", turns[0]), *LET_GO, ("scheduler.left", turns[1]), ("inbox.moved", []), ("inbox.poke",),
        ("others.tell_borrower", BORROWER, {1, 2}), ("others.tell_borrower", OTHER, {3}),
    ]  # fmt: skip


def test_a_lent_turn_that_does_not_leave_memory_keeps_no_other_there() -> None:
    loans, turns = Loans(), [make_turn(OWNED) for _ in range(2)]
    loans.parts["scheduler"].failing.add(turns[0])

    loans.after_new_loans(NewLoans([LetGo(turns[0], []), LetGo(turns[1], ROWS)], {BORROWER: {1}}))

    told = ("others.tell_borrower", BORROWER, {1})
    assert loans.heard == [("scheduler.left", turns[0]), ("scheduler.left", turns[1]), *LET_GO, told]


@RESUMES
def test_a_turn_that_was_not_lent_is_read_again_and_then_its_rows(resume: Resume | None) -> None:
    loans, turn, each = Loans(), make_turn(OWNED), back(resume)

    loans.after_refused_loan(RefusedLoan(LetGo(turn, ROWS), each))

    assert loans.heard == [("scheduler.left", turn), *reading(each), *LET_GO]


def test_a_turn_that_was_lent_before_is_not_read_but_its_rows_are() -> None:
    loans, turn = Loans(), make_turn(OWNED)

    loans.after_refused_loan(RefusedLoan(LetGo(turn, ROWS), None))

    assert loans.heard == [("scheduler.left", turn), *LET_GO]


@RESUMES
def test_followers_hear_of_a_loan_that_is_over_before_its_turn_is_read(resume: Resume | None) -> None:
    loans, each = Loans(), back(resume)

    loans.after_loan(each)

    assert loans.heard == [("hub.look", each.turn_id, each.session_id), *reading(each)]


def test_a_turn_that_comes_back_is_read_though_its_followers_could_not_be_told() -> None:
    loans, each = Loans(), back(Resume.MOVED)
    loans.parts["hub"].failing.add(each.turn_id)

    loans.after_loan(each)

    assert loans.heard == [("hub.look", each.turn_id, each.session_id), *reading(each)]


def test_followers_hear_of_events_that_a_borrower_wrote() -> None:
    loans, turn_id, session_id = Loans(), uuid.uuid4(), uuid.uuid4()

    loans.after_events_of_lent(turn_id, Lent(OWNED, session_id, 5, BORROWER, Resume.MOVED, 3))

    assert loans.heard == [("hub.look", turn_id, session_id)]


def test_borrowers_hear_of_their_buckets_and_of_due_rows() -> None:
    loans = Loans()

    loans.after_living_borrowers({BORROWER: {1, 2}, OTHER: {3}})
    loans.after_row_of_lent(Lent(OWNED, uuid.uuid4(), 5, BORROWER, Resume.MOVED, 3))

    assert [each for _, *each in loans.heard] == [[BORROWER, {1, 2}], [OTHER, {3}], [BORROWER, [5]]]
    assert {each for each, *_ in loans.heard} == {"others.tell_borrower"}


def test_a_turn_whose_build_is_missing_for_too_long_is_parked_before_its_rows_are_read() -> None:
    loans, turn, why = Loans(), make_turn(OWNED), Park("no_build", "nobody has it")

    loans.after_no_build(LetGo(turn, ROWS), why)

    assert loans.heard == [("executor.park", turn, why), *LET_GO]


def test_heads_for_which_memory_has_room_again_are_read_and_then_their_rows() -> None:
    loans = Loans()

    loans.after_forgotten_heads({OWNED: ROWS})

    assert loans.heard == [("pager.claimed", [OWNED]), ("pager.nudge",), *LET_GO]


def test_a_turn_for_which_memory_has_no_room_leaves_it() -> None:
    loans, turn = Loans(), make_turn(OWNED)

    loans.after_no_room(turn)

    assert loans.heard == [("scheduler.left", turn)]


def test_borrowed_turns_are_given_slots_and_their_owners_hear_of_changes() -> None:
    loans, turn = Loans(), make_turn(OWNED)
    turn.see(ROWS[0])

    loans.after_borrowing()
    loans.after_changes_of_borrowed({5})
    loans.after_forgetting(turn)

    told = ("others.tell_owners", {5}, loans.parts["claims"])
    assert loans.heard == [("executor.fill",), told, ("background.spawn", told), ("inbox.moved", turn.rows)]


async def test_a_turn_that_lacks_its_build_waits_with_its_rows() -> None:
    heard: list[str] = []
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        note(heard, parts.inbox, "set_apart")
        note(heard, parts.lending, "lacks")

        parts.dispatcher.after_lack(turn)

    assert heard == ["set_apart", "lacks"]


async def test_a_signal_to_a_turn_for_which_memory_had_no_room_is_read_again_when_it_has() -> None:
    """It was in hand when its turn was found to lack its build; who keeps it there does not read it again."""
    async with Parts(catalog(), lent_waiting_max=1) as parts:
        other = make_turn(parts.owned[0])
        parts.lending.lacks(other, [])
        turn = loaded(uuid.uuid4(), **SUSPENDED | {"waits": b'[{"key":"signal:go","kind":"signal","name":"go"}]'})
        row = due_row(turn, uuid.uuid4(), "signal", "go", payload=b"1")
        parts.heads.due = [row]
        await parts.inbox.look()
        assert turn.turn_id not in parts.scheduler.live
        assert row.inbox_id in parts.delivery.in_hand

        other.end(Status.CANCELLED)
        await parts.lending.look()

        assert row.inbox_id not in parts.delivery.in_hand

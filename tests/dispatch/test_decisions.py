"""The decisions of a dispatch worker that need nothing: tables."""

import uuid

import pytest

from argosy.consuming.where import is_missing, where_to_read
from argosy.log import Span
from argosy.ranges import in_ranges
from argosy.store.partition import Note
from argosy.turn.status import ENDED, Status
from argosy.workers.dispatch.inbox.inbox_rule import Action, decide_held
from argosy.workers.dispatch.inbox.inbox_rule import decide as decide_inbox
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.ownership.handover import is_settled
from argosy.workers.dispatch.ownership.ownership import decide as decide_ownership
from argosy.workers.dispatch.ownership.takeover import opens_as
from argosy.workers.dispatch.store_monitor import is_cut_off
from argosy.workers.dispatch.turn import Stop, Turn


def make_owned(partition: int, *, is_void: bool = False, is_reading: bool = True) -> Owned:
    owned = Owned(partition, epoch=1, buckets=(0, 1023))
    owned.is_void = is_void
    owned.is_reading = is_reading
    return owned


@pytest.mark.parametrize(
    ("eligible", "owned", "claim", "read_no_more"),
    [
        (set(), {}, [], []),
        ({0, 1}, {}, [0, 1], []),
        ({0, 1}, {0: make_owned(0)}, [1], []),
        ({1}, {0: make_owned(0), 1: make_owned(1)}, [], [0]),
        (set(), {0: make_owned(0)}, [], [0]),
        (set(), {0: make_owned(0, is_reading=False)}, [], []),
        ({0}, {0: make_owned(0, is_reading=False)}, [], []),
        ({0}, {0: make_owned(0, is_void=True)}, [0], []),
    ],
)
def test_what_is_eligible_is_claimed_and_what_is_not_any_more_is_served_until_somebody_claims_it(
    eligible: set[int], owned: dict[int, Owned], claim: list[int], read_no_more: list[int]
) -> None:
    assert decide_ownership(frozenset(eligible), owned, is_word_old=False) == (claim, read_no_more)
    assert decide_ownership(frozenset(eligible), owned, is_word_old=True) == ([], read_no_more)


SETTLED, UNSETTLED, OLDER = Note(0, 7, True, []), Note(0, 7, False, []), Note(0, 6, True, [])


@pytest.mark.parametrize(
    ("note", "former_epoch", "is_former_alive", "has_time", "expected"),
    [
        (SETTLED, 7, True, True, Resume.MOVED),
        (SETTLED, 7, False, False, Resume.MOVED),  # it left everything in order, and has gone
        (UNSETTLED, 7, True, True, Resume.UNHEARD),  # something that ran under the one before it has not begun again
        (None, 7, True, True, None),  # it lives: let it speak
        (OLDER, 7, True, True, None),
        (None, 7, True, False, Resume.UNHEARD),  # it lives, and says nothing
        (None, 7, False, True, Resume.CRASHED),
        (OLDER, 7, False, True, Resume.CRASHED),
        (None, None, False, True, Resume.UNHEARD),  # nobody ever had it
    ],
)
def test_how_a_partition_opens_depends_on_what_its_former_owner_left(
    note: Note | None, former_epoch: int | None, is_former_alive: bool, has_time: bool, expected: Resume | None
) -> None:
    assert opens_as(note, former_epoch, is_former_alive=is_former_alive, has_time=has_time) is expected


def make_turn(
    status: Status, *, resume: Resume = Resume.MOVED, stop: Stop | None = None, has_written: bool = False
) -> Turn:
    """A turn that came into memory with this status. has_written: Postgres has something of it from here."""
    turn = Turn(
        owned=make_owned(0), turn_id=uuid.uuid4(), tenant="a", session_id=uuid.uuid4(), session_name="s", bucket=0,
        place=1, workflow="w", priority=0, input=b"1", status=status, seq=3,
    )  # fmt: skip
    turn.resume, turn.stop = resume, stop
    turn.durable_seq += has_written
    return turn


CRASHED, UNHEARD, MOVED, RUNNING = Resume.CRASHED, Resume.UNHEARD, Resume.MOVED, Status.RUNNING


@pytest.mark.parametrize(
    ("resume", "is_open", "has_unread", "is_taking_up", "turns", "expected"),
    [
        (MOVED, True, False, False, [], True),
        (MOVED, True, True, False, [], True),  # what was never looked at goes on as it came
        (CRASHED, True, False, False, [], True),
        (CRASHED, True, True, False, [], False),  # some head may have run when the owner before died
        (CRASHED, False, False, False, [], False),
        (CRASHED, True, False, False, [make_turn(RUNNING, resume=CRASHED)], False),
        (CRASHED, True, False, False, [make_turn(RUNNING, resume=CRASHED, stop=Stop.HANDOVER)], False),
        (CRASHED, True, False, False, [make_turn(RUNNING, resume=CRASHED, has_written=True)], True),
        (MOVED, True, False, False, [make_turn(RUNNING, resume=UNHEARD)], False),
        (MOVED, True, False, True, [], False),
        (MOVED, True, False, False, [make_turn(RUNNING)], True),
        (MOVED, True, False, False, [make_turn(Status.QUEUED, resume=CRASHED)], True),
        (MOVED, True, False, False, [make_turn(Status.SUSPENDED, resume=CRASHED)], True),
        (MOVED, True, False, False, [make_turn(RUNNING, stop=Stop.CANCEL)], False),
        (MOVED, True, False, False, [make_turn(RUNNING, stop=Stop.EXPIRE)], False),
        (MOVED, True, False, False, [make_turn(RUNNING, stop=Stop.HANDOVER)], True),
    ],
)
def test_a_partition_is_settled_when_every_running_turn_of_it_may_go_on_with_the_same_attempt(
    resume: Resume, is_open: bool, has_unread: bool, is_taking_up: bool, turns: list[Turn], expected: bool
) -> None:
    owned = make_owned(0)
    owned.resume, owned.is_open = resume, is_open

    assert is_settled(owned, turns, has_unread=has_unread, is_taking_up=is_taking_up) is expected


@pytest.mark.parametrize(("stalled_s", "expected"), [(0.0, False), (29.9, False), (30.0, True), (300.0, True)])
def test_a_worker_that_cannot_write_for_long_is_cut_off(stalled_s: float, expected: bool) -> None:
    assert is_cut_off(stalled_s, 30.0) is expected


@pytest.mark.parametrize(
    ("kind", "name", "status", "waits_for", "expected"),
    [
        ("cancel", "", Status.RUNNING, False, Action.CANCEL),
        ("timer", "deadline", Status.RUNNING, False, Action.EXPIRE),
        ("timer", "not_before", Status.QUEUED, False, Action.DELETE),
        ("timer", "sleep", Status.RUNNING, True, Action.STAY),
        ("timer", "sleep", Status.SUSPENDED, True, Action.STAY),
        ("signal", "go", Status.RUNNING, False, Action.BUFFER),
        ("signal", "go", Status.QUEUED, False, Action.BUFFER),
        ("signal", "go", Status.SUSPENDED, False, Action.BUFFER),
        ("signal", "go", Status.SUSPENDED, True, Action.STAY),
        ("step_result", "step.completed", Status.RUNNING, False, Action.BUFFER),
        ("handover", "w/1", Status.RUNNING, False, Action.SAID),
        ("resume", "", Status.PARKED, False, Action.STAY),
        ("of a later version", "go", Status.RUNNING, False, Action.STAY),
    ],
)
def test_what_comes_to_a_turn_that_still_runs_elsewhere_is_kept_and_what_would_wake_it_stays_due(
    kind: str, name: str, status: Status, waits_for: bool, expected: Action
) -> None:
    assert decide_held(kind, name, status, waits_for) is expected


@pytest.mark.parametrize(
    ("position", "span", "expected"),
    [
        (None, Span(0, 10), 0),
        (5, Span(0, 10), 5),
        (10, Span(0, 10), 10),
        (0, Span(0, 0), 0),
        (11, Span(0, 10), 0),  # the log ends before: it is another one, or it was truncated
        (3, Span(7, 10), 7),  # records were deleted before they were accepted
    ],
)
def test_a_partition_is_read_from_its_position_unless_the_log_does_not_hold_it(
    position: int | None, span: Span, expected: int
) -> None:
    assert where_to_read(position, span) == expected


@pytest.mark.parametrize(
    ("kind", "name", "status", "waits_for", "action"),
    [
        ("signal", "go", None, False, Action.STAY),
        ("signal", "go", Status.QUEUED, False, Action.BUFFER),
        ("signal", "go", Status.RUNNING, False, Action.DELIVER),
        ("signal", "go", Status.SUSPENDED, True, Action.WAKE),
        ("signal", "go", Status.SUSPENDED, False, Action.BUFFER),
        ("signal", "go", Status.PARKED, False, Action.BUFFER),
        ("cancel", "", None, False, Action.STAY),
        ("cancel", "", Status.QUEUED, False, Action.END),
        ("cancel", "", Status.RUNNING, False, Action.CANCEL),
        ("cancel", "", Status.SUSPENDED, False, Action.CANCEL),
        ("cancel", "", Status.PARKED, False, Action.END),
        ("resume", "", Status.PARKED, False, Action.RESUME),
        ("resume", "", Status.RUNNING, False, Action.LATE),
        ("timer", "not_before", Status.QUEUED, False, Action.PLACE),
        ("timer", "not_before", Status.RUNNING, False, Action.DELETE),
        ("timer", "deadline", Status.QUEUED, False, Action.EXPIRE),
        ("timer", "deadline", Status.RUNNING, False, Action.EXPIRE),
        ("timer", "deadline", Status.SUSPENDED, False, Action.EXPIRE),
        ("timer", "deadline", Status.PARKED, False, Action.DELETE),
        ("timer", "sleep", Status.RUNNING, False, Action.DELIVER),
        ("timer", "sleep", Status.SUSPENDED, True, Action.WAKE),
        ("timer", "sleep", Status.SUSPENDED, False, Action.DELETE),
        ("timer", "sleep", Status.PARKED, False, Action.BUFFER),
        *(("of a later version", "go", status, True, Action.STAY) for status in Status if status not in ENDED),
    ],
)
def test_what_becomes_of_a_due_row_depends_on_its_turn(
    kind: str, name: str, status: Status | None, waits_for: bool, action: Action
) -> None:
    assert decide_inbox(kind, name, status, waits_for) is action


@pytest.mark.parametrize("status", sorted(ENDED))
@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("signal", Action.LATE),
        ("cancel", Action.LATE),
        ("resume", Action.LATE),
        ("timer", Action.DELETE),
        ("of a later version", Action.LATE),
    ],
)
def test_a_row_that_meets_an_ended_turn_comes_late_and_changes_nothing(
    status: Status, kind: str, action: Action
) -> None:
    assert decide_inbox(kind, "x", status, waits_for=False) is action


def test_partitions_are_written_as_ranges() -> None:
    assert in_ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert in_ranges([]) == ""


@pytest.mark.parametrize(
    ("before", "now", "span", "expected"),
    [
        (5, 5, Span(0, 10), False),
        (9, 12, Span(0, 10), False),  # accepted on while the log was asked: its end is of a moment before
        (6, 12, Span(7, 10), False),  # the same, and what was accepted before has been trimmed
        (11, 11, Span(0, 10), True),  # truncated
        (3, 3, Span(7, 10), True),  # deleted before it was accepted
        (3, 6, Span(7, 10), True),
    ],
)
def test_a_partition_that_is_read_lacks_records_only_if_no_moment_since_the_log_was_asked_explains_its_answer(
    before: int, now: int, span: Span, expected: bool
) -> None:
    assert is_missing(before, now, span) is expected

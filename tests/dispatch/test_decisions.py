"""The decisions of a dispatch worker that need nothing: tables."""

import pytest

from argosy.log import Span
from argosy.turn.status import ENDED, Status
from workers.dispatch.inbox import Action
from workers.dispatch.inbox import decide as decide_inbox
from workers.dispatch.ownership import decide as decide_ownership
from workers.dispatch.ownership import in_ranges, where_to_read
from workers.dispatch.turn import Owned


def make_owned(partition: int, *, is_void: bool = False) -> Owned:
    owned = Owned(partition, epoch=1, claim=1, buckets=(0, 1023))
    owned.is_void = is_void
    return owned


@pytest.mark.parametrize(
    ("eligible", "owned", "claim", "release"),
    [
        (set(), {}, [], []),
        ({0, 1}, {}, [0, 1], []),
        ({0, 1}, {0: make_owned(0)}, [1], []),
        ({1}, {0: make_owned(0), 1: make_owned(1)}, [], [0]),
        (set(), {0: make_owned(0)}, [], [0]),
        ({0}, {0: make_owned(0, is_void=True)}, [0], []),
    ],
)
def test_what_is_eligible_and_not_owned_is_claimed_and_what_is_owned_and_not_eligible_is_let_go(
    eligible: set[int], owned: dict[int, Owned], claim: list[int], release: list[int]
) -> None:
    assert decide_ownership(frozenset(eligible), owned) == (claim, release)


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
        ("cancel", "", Status.QUEUED, False, Action.CANCEL),
        ("cancel", "", Status.RUNNING, False, Action.CANCEL),
        ("cancel", "", Status.SUSPENDED, False, Action.CANCEL),
        ("cancel", "", Status.PARKED, False, Action.CANCEL),
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
    ],
)
def test_what_becomes_of_a_due_row_depends_on_its_turn(
    kind: str, name: str, status: Status | None, waits_for: bool, action: Action
) -> None:
    assert decide_inbox(kind, name, status, waits_for) is action


@pytest.mark.parametrize("status", sorted(ENDED))
@pytest.mark.parametrize(
    ("kind", "action"),
    [("signal", Action.LATE), ("cancel", Action.LATE), ("resume", Action.LATE), ("timer", Action.DELETE)],
)
def test_a_row_that_meets_an_ended_turn_comes_late_and_changes_nothing(
    status: Status, kind: str, action: Action
) -> None:
    assert decide_inbox(kind, "x", status, waits_for=False) is action


def test_partitions_are_written_as_ranges() -> None:
    assert in_ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert in_ranges([]) == ""

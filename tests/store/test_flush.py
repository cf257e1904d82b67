"""What a worker's turns want written: each turn whole or not at all, and nothing twice."""

import uuid

import asyncpg
import pytest

from argosy.turn.status import ENDED, Status
from tests.store.conftest import OpenHand
from tests.store.hand import Change, Hand, New
from tests.store.test_accept import FUTURE, two_partitions

QUEUED = ("queued", 0, 0)
RUNNING = ("running", 1, 1)
STARTED = [("turn.started", "")]


async def running(hand: Hand, *turns: New) -> None:
    await hand.accept(*turns)
    await hand.flush(*(Change(each, QUEUED, "running", events=STARTED) for each in turns))


async def test_a_turn_is_written_with_its_events_and_rows(hand: Hand) -> None:
    turn, timer = New("a"), uuid.uuid4()
    await running(hand, turn)

    answer = await hand.flush(
        Change(
            turn, RUNNING, "suspended",
            events=[("step.completed", "charge"), ("turn.suspended", "")], rows=[(timer, "timer", "sleep", 30.0)],
        )
    )  # fmt: skip

    assert answer.applied is None
    row = await hand.turn(turn)
    assert (row["status"], row["attempt"], row["seq"], row["ended_at"]) == ("suspended", 1, 3, None)
    assert row["started_at"] is not None
    assert await hand.rows("SELECT seq, type FROM events ORDER BY seq") == [
        (1, "turn.started"), (2, "step.completed"), (3, "turn.suspended"),
    ]  # fmt: skip
    assert await hand.rows("SELECT inbox_id, turn_id, session_id, state FROM inbox") == [
        (timer, turn.turn_id, turn.session_id, "due")
    ]


async def test_a_flush_sent_twice_is_applied_once_and_answered_the_same(hand: Hand) -> None:
    turn = New("a")
    await running(hand, turn)
    first = await hand.flush(Change(turn, RUNNING, "completed", events=[("turn.completed", "")]))

    again = await hand.repeat(2)

    assert again == first
    assert await hand.rows("SELECT count(*) FROM events") == [(2,)]


async def test_a_repetition_is_answered_as_it_was_even_when_the_partition_is_lost_since(
    hand: Hand, open_hand: OpenHand
) -> None:
    turn = New("a")
    await running(hand, turn)
    await (await open_hand()).claim()

    assert (await hand.repeat(2)).held == [True]
    assert (await hand.flush(Change(turn, RUNNING, "completed"))).held == [False]


@pytest.mark.parametrize(
    "expected", [("queued", 0, 0), ("running", 2, 1), ("running", 1, 0), ("completed", 1, 1), ("suspended", 1, 1)]
)
async def test_a_turn_that_is_not_as_expected_leaves_nothing_behind(hand: Hand, expected: tuple[str, int, int]) -> None:
    wrong, right, kept, moved = New("a"), New("b"), uuid.uuid4(), uuid.uuid4()
    await running(hand, wrong, right)
    await hand.flush(Change(right, RUNNING, "running", rows=[(moved, "signal", "go", 0.0)]))

    answer = await hand.flush(
        Change(
            wrong, expected, "completed", attempt=3,
            events=[("turn.completed", "")], rows=[(kept, "timer", "t", 1.0)], moves=[(moved, "consumed")],
        ),
        Change(right, RUNNING, "completed", events=[("turn.completed", "")]),
    )  # fmt: skip

    assert answer.applied == [False, True]
    assert await hand.status(wrong) == "running"
    assert await hand.status(right) == "completed"
    assert await hand.rows("SELECT count(*) FROM events WHERE turn_id = $1", wrong.turn_id) == [(1,)]
    # The row is of the turn that ended.
    assert await hand.rows("SELECT inbox_id, state FROM inbox") == [(moved, "late")]


async def test_a_partition_that_is_not_held_is_left_out_and_others_go_on(hand: Hand, open_hand: OpenHand) -> None:
    lost, kept = two_partitions()
    row_of_lost, row_of_kept = uuid.uuid4(), uuid.uuid4()
    await running(hand, lost, kept)
    await hand.flush(
        Change(lost, RUNNING, "running", rows=[(row_of_lost, "signal", "s", 0.0)]),
        Change(kept, RUNNING, "running", rows=[(row_of_kept, "signal", "s", 0.0)]),
    )
    await (await open_hand()).claim(lost.partition)

    answer = await hand.flush(
        Change(lost, RUNNING, "completed", events=[("turn.completed", "")]),
        Change(kept, RUNNING, "completed", events=[("turn.completed", "")]),
        moves=[(lost.partition, row_of_lost, "consumed"), (kept.partition, row_of_kept, "consumed")],
    )

    assert answer.applied == [False, True]
    assert answer.held == [each == kept.partition for each in sorted((lost.partition, kept.partition))]
    assert await hand.status(lost) == "running"
    assert dict(await hand.rows("SELECT inbox_id, state FROM inbox")) == {row_of_lost: "due", row_of_kept: "consumed"}
    assert await hand.rows("SELECT count(*) FROM events WHERE turn_id = $1", lost.turn_id) == [(1,)]


async def test_an_outcome_is_recorded_once(hand: Hand) -> None:
    turn = New("a")
    await running(hand, turn)
    await hand.flush(Change(turn, RUNNING, "running", events=[("step.completed", "charge")]))

    with pytest.raises(asyncpg.UniqueViolationError):
        await hand.flush(Change(turn, ("running", 1, 2), "running", events=[("step.failed", "charge")]))

    assert (await hand.turn(turn))["seq"] == 2


async def test_a_session_is_held_by_one_turn(hand: Hand) -> None:
    first, second = New("a"), New("a")
    await hand.accept(first, second)
    await hand.flush(Change(first, QUEUED, "running"))

    with pytest.raises(asyncpg.UniqueViolationError):
        await hand.flush(Change(second, QUEUED, "running"))

    assert await hand.status(second) == "queued"


async def test_what_took_effect_already_does_not_move_again(hand: Hand) -> None:
    turn, row = New("a"), uuid.uuid4()
    await running(hand, turn)
    await hand.flush(Change(turn, RUNNING, "running", rows=[(row, "signal", "s", 0.0)]))
    await hand.flush(moves=[(turn.partition, row, "buffered")])
    await hand.flush(Change(turn, RUNNING, "running", events=[("wait.completed", "w")], moves=[(row, "consumed")]))

    await hand.flush(moves=[(turn.partition, row, "late")])

    assert await hand.rows("SELECT state FROM inbox") == [("consumed",)]


async def left(hand: Hand) -> list[tuple[str, str, str]]:
    """What is in the inbox: (kind, name, state)."""
    return await hand.rows("SELECT kind, name, state FROM inbox ORDER BY kind, name")


SENT = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, name, state, payload)"
    " VALUES (gen_random_uuid(), 'default', $1, 'acme', $2, 'signal', $3, $4, '1') RETURNING inbox_id"
)


@pytest.mark.parametrize("status", sorted(ENDED - {Status.REJECTED, Status.MERGED, Status.DUPLICATE}))
@pytest.mark.parametrize("before", ["running", "suspended", "parked"])
async def test_a_turn_that_ends_takes_along_its_timers_and_what_was_sent_to_it(
    hand: Hand, before: str, status: str
) -> None:
    """Whatever its owner knew of them: it may never have read more than the turn's row."""
    turn, repeated, other = New("a", deadline_s=60, key="k"), New("a", key="k"), New("b", deadline_s=60)
    await running(hand, turn, other)
    await hand.accept(repeated)
    rows = [(uuid.uuid4(), "timer", name, 60.0) for name in ("retry", "signal", "sleep")]
    await hand.flush(Change(turn, RUNNING, before, rows=rows))
    for each, name, state in (
        (turn, "a", "due"),
        (turn, "b", "buffered"),
        (repeated, "c", "due"),
        (turn, "d", "consumed"),
    ):
        await hand.rows(SENT, each.bucket, each.turn_id, name, state)

    await hand.flush(Change(turn, (before, 1, 1), status, events=[(f"turn.{status}", "")]))

    assert await left(hand) == [
        ("signal", "a", "late"), ("signal", "b", "late"), ("signal", "c", "late"), ("signal", "d", "consumed"),
        ("timer", "deadline", "due"),
    ]  # fmt: skip
    assert await hand.rows("SELECT name FROM inbox WHERE payload IS NOT NULL") == [("d",)]
    assert await hand.rows("SELECT turn_id FROM inbox WHERE kind = 'timer'") == [(other.turn_id,)]


async def test_a_cancel_takes_effect_by_the_end_that_it_brings(hand: Hand) -> None:
    turn, cancel = New("a"), uuid.uuid4()
    await running(hand, turn)
    await hand.flush(Change(turn, RUNNING, "suspended", rows=[(cancel, "cancel", "", 0.0)]))

    await hand.flush(Change(turn, ("suspended", 1, 1), "cancelled", moves=[(cancel, "consumed")]))

    assert await left(hand) == [("cancel", "", "consumed")]


async def test_a_delayed_turn_that_is_cancelled_leaves_no_timer(hand: Hand) -> None:
    delayed = New("a", not_before=FUTURE, deadline_s=60)
    await hand.accept(delayed)

    await hand.flush(Change(delayed, QUEUED, "cancelled", attempt=0))

    assert await left(hand) == []


async def test_a_turn_that_runs_from_its_start_to_its_end_in_one_flush_leaves_no_deadline(hand: Hand) -> None:
    turn = New("a", deadline_s=60)
    await hand.accept(turn)

    await hand.flush(Change(turn, QUEUED, "completed", events=[*STARTED, ("turn.completed", "")]))

    assert await left(hand) == []


async def test_a_delayed_turn_that_is_rejected_as_it_falls_due_keeps_nothing_open(hand: Hand) -> None:
    delayed, other = New("a", not_before=FUTURE, on_busy="reject"), New("a")
    await hand.accept(delayed, other)
    await hand.rows(SENT, delayed.bucket, delayed.turn_id, "go", "buffered")

    await hand.flush(placements=[delayed])

    assert await left(hand) == [("signal", "go", "late")]


async def test_what_is_not_written_takes_nothing_along(hand: Hand) -> None:
    turn = New("a", deadline_s=60)
    await running(hand, turn)

    await hand.flush(Change(turn, ("running", 7, 1), "completed"))

    assert await left(hand) == [("timer", "deadline", "due")]


async def test_what_came_late_keeps_no_payload(hand: Hand) -> None:
    turn = New("a")
    await running(hand, turn)
    ((signal_id,),) = await hand.rows(SENT, turn.bucket, turn.turn_id, "go", "due")

    await hand.flush(moves=[(turn.partition, signal_id, "late")])

    assert await hand.rows("SELECT state, payload FROM inbox") == [("late", None)]


async def test_a_delayed_turn_that_fell_due_takes_its_place_behind_the_others(hand: Hand) -> None:
    delayed, other = New("a", not_before=FUTURE, deadline_s=60), New("a")
    await hand.accept(delayed, other)

    await hand.flush(placements=[delayed])

    rows = await hand.rows("SELECT turn_id FROM turns WHERE place IS NOT NULL ORDER BY place")
    assert rows == [(other.turn_id,), (delayed.turn_id,)]
    rows = await hand.rows("SELECT due_at < now() + interval '61 seconds' FROM inbox WHERE name = 'deadline'")
    assert rows == [(True,)]


async def test_a_delayed_turn_is_placed_once(hand: Hand) -> None:
    delayed = New("a", not_before=FUTURE, deadline_s=60)
    await hand.accept(delayed)
    await hand.flush(placements=[delayed])
    place = (await hand.turn(delayed))["place"]

    await hand.flush(placements=[delayed, delayed])

    assert (await hand.turn(delayed))["place"] == place
    assert await hand.rows("SELECT count(*) FROM inbox WHERE name = 'deadline'") == [(1,)]


async def test_a_delayed_turn_that_does_not_want_to_wait_is_judged_when_it_falls_due(hand: Hand) -> None:
    delayed, other = New("a", not_before=FUTURE, on_busy="reject", key="k"), New("a")
    await hand.accept(delayed)
    await hand.accept(other)

    await hand.flush(placements=[delayed])

    row = await hand.turn(delayed)
    assert (row["status"], row["reason"], row["idempotency_key"], row["seq"]) == ("rejected", "busy", None, 1)
    assert await hand.rows("SELECT seq, type FROM events") == [(1, "turn.rejected")]


async def test_a_delayed_turn_of_a_lost_partition_is_not_placed(hand: Hand, open_hand: OpenHand) -> None:
    delayed = New("a", not_before=FUTURE)
    await hand.accept(delayed)
    await (await open_hand()).claim()

    answer = await hand.flush(placements=[delayed])

    assert answer.held == [False]
    assert (await hand.turn(delayed))["place"] is None


async def test_a_cancelled_delayed_turn_is_not_placed_by_the_same_flush(hand: Hand) -> None:
    delayed = New("a", not_before=FUTURE)
    await hand.accept(delayed)

    await hand.flush(Change(delayed, QUEUED, "cancelled", attempt=0), placements=[delayed])

    row = await hand.turn(delayed)
    assert (row["status"], row["place"]) == ("cancelled", None)


INSERT_TURN = (
    "INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, workflow, on_busy, status, place, ended_at,"
    "                   duplicate_of, waits, priority)"
    " VALUES (gen_random_uuid(), 't', 'l', $1, gen_random_uuid(), 'w', 'enqueue', $2, $3, $4, $5, $6, $7)"
)


@pytest.mark.parametrize(
    "row",
    [
        (1024, "queued", 1, None, None, None, 0),
        (0, "accepted", 1, None, None, None, 0),
        (0, "queued", 1, FUTURE, None, None, 0),
        (0, "completed", 1, None, None, None, 0),
        (0, "running", None, None, None, None, 0),
        (0, "parked", None, None, None, None, 0),
        (0, "suspended", 1, None, None, None, 0),
        (0, "duplicate", None, FUTURE, None, None, 0),
        (0, "completed", 1, FUTURE, uuid.uuid4(), None, 0),
        (0, "queued", 1, None, None, None, 101),
    ],
)
async def test_the_schema_refuses_what_cannot_be(hand: Hand, row: tuple[object, ...]) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await hand.rows(INSERT_TURN, *row)

"""Rows that a flush writes for other turns, and turns that it starts: they go with their writer, and are there once."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.store.head import DueRow, Heads
from argosy.store.parameters import FLUSH, names_of
from argosy.store.pool import Pool
from argosy.turn.inbox import Queue
from tests.store.before import FLUSH as FLUSH_BEFORE
from tests.store.before import arguments_of_before
from tests.store.conftest import OpenHand
from tests.store.due import read_through
from tests.store.hand import LANE, TENANT, Change, Hand, New, Sent, flush_arguments
from tests.store.test_flush import QUEUED, RUNNING, STARTED, running

ALL = "SELECT lane, bucket, tenant, session_id, turn_id, kind, request_id, payload, state FROM inbox"
STARTS = "SELECT turn_id, lane, bucket, tenant, session_id, record FROM starts"
STEP = [("step.completed", "s")]


@pytest.fixture
async def heads(store_dsn: str) -> AsyncIterator[Heads]:
    pool = Pool(store_dsn, 2, 30.0)
    yield Heads(pool, LANE, input_size_bytes_max=100)
    await pool.close()


async def due(heads: Heads) -> list[DueRow]:
    return list(await heads.due_inbox([(0, 1023)], [], dict.fromkeys(Queue, 10), 1_000))


def elsewhere(turn: New) -> New:
    """A turn in another partition."""
    return next(each for n in range(1_000) if (each := New(f"other-{n}")).partition != turn.partition)


async def test_a_row_for_another_turn_is_there_for_its_owner(hand: Hand, heads: Heads) -> None:
    writer = New("writer")
    target = elsewhere(writer)
    await running(hand, writer)
    await hand.accept(target)

    await hand.flush(Change(writer, RUNNING, "running", events=STEP, sent=[Sent(target, payload=b"1")]))

    assert await hand.rows(ALL) == [
        (LANE, target.bucket, TENANT, target.session_id, target.turn_id, "resume", None, b"1", "due")
    ]
    assert [(row.turn_id, row.payload) for row in await due(heads)] == [(target.turn_id, b"1")]


async def test_a_row_may_go_to_another_lane(hand: Hand) -> None:
    writer, target = New("writer"), New("target", lane="other")
    await running(hand, writer)

    await hand.flush(Change(writer, RUNNING, "running", events=STEP, sent=[Sent(target, lane="other")]))

    assert await hand.rows("SELECT lane, tenant, turn_id FROM inbox") == [("other", TENANT, target.turn_id)]


@pytest.mark.parametrize("kind", ["resume", "start"])
async def test_nothing_is_sent_by_a_turn_that_is_not_as_expected(hand: Hand, kind: str) -> None:
    writer, good, target = New("a"), New("b"), New("target")
    await running(hand, writer, good)
    sent = [Sent(target, kind, payload=b"r")]

    answer = await hand.flush(
        Change(writer, ("running", 1, 7), "running", events=STEP, sent=sent),
        Change(good, RUNNING, "running", events=STEP),
    )

    assert answer.applied == [False, True]
    assert await hand.rows(ALL) == await hand.rows(STARTS) == []


@pytest.mark.parametrize("kind", ["resume", "start"])
async def test_nothing_is_sent_by_who_lost_the_partition(hand: Hand, open_hand: OpenHand, kind: str) -> None:
    writer, target = New("a"), New("target")
    await running(hand, writer)
    await (await open_hand()).claim()

    answer = await hand.flush(Change(writer, RUNNING, "running", events=STEP, sent=[Sent(target, kind, payload=b"r")]))

    assert answer.held == [False]
    assert await hand.rows(ALL) == await hand.rows(STARTS) == []


async def test_what_a_repeated_flush_sends_is_there_once(hand: Hand) -> None:
    writer, target, child = New("a"), New("target"), New("child")
    await running(hand, writer)
    sent = [Sent(target), Sent(child, "start", payload=b"record")]
    await hand.flush(Change(writer, RUNNING, "running", events=STEP, sent=sent))

    await hand.repeat(2)

    assert len(await hand.rows(ALL)) == len(await hand.rows(STARTS)) == 1


async def test_a_request_is_one_row_however_often_it_is_said(hand: Hand) -> None:
    writer, target = New("a"), New("target")
    await running(hand, writer)

    same = [Sent(target, request="r", payload=b"1"), Sent(target, request="r", payload=b"2")]
    await hand.flush(Change(writer, RUNNING, "running", events=STEP, sent=[*same, Sent(target, request="another")]))
    await hand.flush(Change(writer, ("running", 1, 2), "running", events=[("step.completed", "next")], sent=same))

    assert sorted(await hand.rows("SELECT request_id FROM inbox")) == [("another",), ("r",)]


async def test_a_row_for_a_turn_that_ends_in_the_same_flush_came_late(hand: Hand) -> None:
    writer, target = New("a"), New("target")
    await running(hand, writer, target)

    await hand.flush(
        Change(writer, RUNNING, "running", events=STEP, sent=[Sent(target, payload=b"1")]),
        Change(target, RUNNING, "completed", events=[("turn.completed", "")]),
    )

    assert await hand.rows("SELECT turn_id, state, payload FROM inbox") == [(target.turn_id, "late", None)]


async def test_a_start_waits_with_its_record_and_has_no_row_in_the_inbox(hand: Hand) -> None:
    writer, child = New("a"), New("child")
    await running(hand, writer)
    timer = uuid.uuid4()

    await hand.flush(
        Change(
            writer, RUNNING, "running", events=STEP, rows=[(timer, "timer", "sleep", 60.0)],
            sent=[Sent(child, "start", payload=b"record")],
        )
    )  # fmt: skip

    assert await hand.rows(STARTS) == [(child.turn_id, LANE, child.bucket, TENANT, child.session_id, b"record")]
    assert await hand.rows("SELECT inbox_id, turn_id, session_id FROM inbox") == [
        (timer, writer.turn_id, writer.session_id)
    ]


async def test_a_row_for_a_turn_that_was_started_does_not_come_late_before_it_is_accepted(
    hand: Hand, heads: Heads
) -> None:
    writer, child = New("a"), New("child")
    await running(hand, writer)
    await hand.flush(
        Change(writer, RUNNING, "running", events=STEP, sent=[Sent(child, "start", payload=b"r"), Sent(child)])
    )
    await hand.rows("UPDATE inbox SET sent_at = now() - interval '1 hour' RETURNING 1")
    await read_through(hand, child, 0)
    assert await due(heads) == []

    await hand.rows("DELETE FROM starts RETURNING 1")

    assert [(row.turn_id, row.head) for row in await due(heads)] == [(child.turn_id, None)]


async def test_a_borrower_sends_rows_of_the_turn_that_is_lent_to_it(hand: Hand, open_hand: OpenHand) -> None:
    lent, target = New("a"), New("target")
    await hand.accept(lent)
    borrower = await open_hand()
    await hand.rows("UPDATE turns SET lent_to = $1 RETURNING 1", borrower.worker_id)
    change = Change(lent, QUEUED, "running", events=STARTED, sent=[Sent(target)])
    arguments = flush_arguments(LANE, {lent.partition: 0}, [change])
    arguments[1], arguments[2], arguments[3] = [], [], [-1]

    answer = await borrower.call(2, *arguments)

    assert answer.applied is None
    assert await hand.rows("SELECT turn_id FROM inbox") == [(target.turn_id,)]


async def test_the_call_of_the_version_before_writes_what_it_wrote(hand: Hand) -> None:
    turn, delayed, timer, other = New("a"), New("b"), uuid.uuid4(), uuid.uuid4()
    await hand.accept(turn, delayed)
    change = Change(turn, QUEUED, "suspended", events=STARTED, rows=[(timer, "timer", "sleep", 60.0)])
    arguments = flush_arguments(LANE, hand.epochs, [change], [(turn.partition, other, "late")])
    named = dict(zip(names_of(FLUSH)[2:], arguments, strict=True))

    row = await hand.connections[2].fetchrow(FLUSH_BEFORE, hand.worker_id, 1, *arguments_of_before(named))

    assert (list(row["held"]), row["applied"]) == ([True], None)
    assert await hand.status(turn) == "suspended"
    assert await hand.rows("SELECT inbox_id, turn_id, session_id, bucket, kind, name, request_id FROM inbox") == [
        (timer, turn.turn_id, turn.session_id, turn.bucket, "timer", "sleep", None)
    ]
    assert await hand.rows("SELECT type FROM events") == [("turn.started",)]


async def test_owners_that_write_to_each_others_turns_at_once_neither_lock_up_nor_lose_a_row(
    open_hand: OpenHand,
) -> None:
    rounds = 60
    first = New("first")
    second = elsewhere(first)
    hands = [await open_hand(), await open_hand()]
    for hand, turn in zip(hands, (first, second), strict=True):
        await hand.claim(turn.partition)
        await running(hand, turn)

    async def write(hand: Hand, turn: New, targets: list[New]) -> None:
        """The same requests as the other one, said in another order, beside a timer of its own."""
        for n in range(rounds):
            sent = [Sent(each, request=f"{n}-{k}") for each in targets for k in (1, 2)]
            child = [Sent(New(f"child-{n}"), "start", payload=b"r")]
            timers = [(uuid.uuid4(), "timer", "sleep", 60.0)]
            change = Change(turn, ("running", 1, n + 1), "running", events=[("step.completed", f"s{n}")])
            change.rows, change.sent = timers, [*sent, *child]
            answer = await hand.flush(change)
            assert (answer.held, answer.applied) == ([True], None)

    async with asyncio.timeout(60):
        await asyncio.gather(
            write(hands[0], first, [first, second]),
            write(hands[1], second, [second, first]),
        )

    counted = await hands[0].rows("SELECT kind, turn_id, count(*) FROM inbox GROUP BY 1, 2 ORDER BY 1, 3")
    assert sorted(counted) == sorted(
        [
            *(("resume", each.turn_id, 2 * rounds) for each in (first, second)),
            *(("timer", each.turn_id, rounds) for each in (first, second)),
        ]
    )
    assert await hands[0].rows("SELECT count(*) FROM starts") == [(2 * rounds,)]

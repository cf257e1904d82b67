"""Turns that other turns started: each becomes one turn, once, in the order of its session, whoever accepts it."""

import asyncio
import itertools
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from argosy.store.head import Heads
from argosy.store.pool import Pool, connect
from argosy.store.queries import load_queries
from argosy.store.start import StartBounds, StartRows
from argosy.store.turn import explain_arrival, is_turn_expected
from argosy.turn.inbox import Queue
from tests.store.conftest import OpenHand
from tests.store.hand import LANE, TENANT, Change, Hand, New, Sent
from tests.store.test_flush import running
from tests.store.test_rows_with_addresses import STARTS, elsewhere

ALL_BUCKETS = [(0, 1023)]
BOUNDS = StartBounds(100, 100, 100_000)
FUTURE = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 2, 30.0)
    yield pool
    await pool.close()


@pytest.fixture
def rows(pool: Pool) -> StartRows:
    return StartRows(pool, LANE)


async def started(hand: Hand, *children: New, writer: New | None = None) -> None:
    """A turn that runs starts these, in one flush."""
    if writer is None:
        writer = New("parent")
        await running(hand, writer)
    sent = [Sent(each, "start", payload=b"record") for each in children]
    seq = (await hand.turn(writer))["seq"]
    await hand.flush(Change(writer, ("running", 1, seq), "running", events=[("step.completed", f"s{seq}")], sent=sent))


def with_id(turn: New, number: int) -> New:
    """The same turn under an id of which it is known how it is sorted."""
    turn.turn_id = uuid.UUID(int=number << 64 | int.from_bytes(os.urandom(7), "big"))
    return turn


async def test_a_start_becomes_a_turn_and_its_row_goes_without_the_position(hand: Hand) -> None:
    child = New("child", deadline_s=60)
    await started(hand, child)
    position = await hand.position(child.partition)

    answer = await hand.start(child)

    assert (answer.held, answer.heads) == ([True], [True])
    turn = await hand.turn(child)
    assert (turn["status"], turn["place"]) == ("queued", (answer.places or [])[0])
    assert await hand.rows("SELECT name FROM sessions WHERE session_id = $1", child.session_id) == [("child",)]
    assert await hand.rows("SELECT name FROM inbox WHERE turn_id = $1", child.turn_id) == [("deadline",)]
    assert await hand.rows(STARTS) == []
    assert await hand.position(child.partition) == position


async def test_a_start_sent_twice_is_accepted_once_and_answered_the_same(hand: Hand) -> None:
    child = New("child")
    await started(hand, child)
    first = await hand.start(child)

    assert await hand.repeat(1) == first
    assert await hand.rows("SELECT count(*) FROM turns WHERE turn_id = $1", child.turn_id) == [(1,)]


async def test_a_start_read_before_it_was_accepted_elsewhere_is_none_any_more(hand: Hand, open_hand: OpenHand) -> None:
    child, other = New("child"), New("child")
    await started(hand, child, other)
    await hand.start(child)
    next_owner = await open_hand()
    await next_owner.claim()

    answer = await next_owner.start(child, other)

    assert answer.places is not None
    assert answer.places[0] is None
    assert answer.places[1] is not None
    assert await hand.rows(STARTS) == []


async def test_a_start_that_is_read_late_does_not_bring_back_a_turn_that_was_forgotten(hand: Hand) -> None:
    child = New("child")
    await started(hand, child)
    await hand.start(child)
    await hand.rows("DELETE FROM turns WHERE turn_id = $1 RETURNING 1", child.turn_id)
    await hand.rows("DELETE FROM sessions WHERE session_id = $1 RETURNING 1", child.session_id)

    for turns in ([child], [New("child", on_busy="reject", turn_id=child.turn_id)]):
        answer = await hand.start(*turns)
        assert (answer.held, answer.places) == ([True], [None])
    assert await hand.turn(child) is None
    assert await hand.rows("SELECT 1 FROM sessions WHERE session_id = $1", child.session_id) == []


async def test_a_start_said_again_after_its_accept_is_still_one_turn(hand: Hand) -> None:
    parent, child = New("parent"), New("child")
    await running(hand, parent)
    await started(hand, child, writer=parent)
    await hand.start(child)
    await started(hand, child, writer=parent)

    answer = await hand.start(child)

    assert answer.places == [None]
    assert await hand.rows(STARTS) == []
    assert await hand.rows("SELECT count(*) FROM turns WHERE session_id = $1", child.session_id) == [(1,)]


async def test_who_lost_the_partition_starts_nothing_and_the_row_stays(hand: Hand, open_hand: OpenHand) -> None:
    child = New("child")
    kept = elsewhere(child)
    await started(hand, child, kept)
    next_owner = await open_hand()
    await next_owner.claim(child.partition)

    answer = await hand.start(child, kept)

    held = dict(zip(sorted({child.partition, kept.partition}), answer.held or [], strict=True))
    assert held == {child.partition: False, kept.partition: True}
    assert await hand.turn(child) is None
    assert await hand.turn(kept) is not None
    assert [row[0] for row in await hand.rows(STARTS)] == [child.turn_id]
    assert (await next_owner.start(child)).heads == [True]


async def test_starts_and_records_of_a_session_have_one_order(hand: Hand) -> None:
    turns = [New("s") for _ in range(4)]
    await started(hand, turns[1], turns[3])

    answers = [
        await hand.accept(turns[0]),
        await hand.start(turns[1]),
        await hand.accept(turns[2]),
        await hand.start(turns[3]),
    ]

    places = [(answer.places or [])[0] for answer in answers]
    assert places == sorted(places)  # type: ignore[type-var]
    assert [answer.heads for answer in answers] == [[True], [False], [False], [False]]


async def test_starts_are_judged_as_records_are(hand: Hand) -> None:
    first = New("s", key="k", digest=b"1")
    same, other = New("s", key="k", digest=b"1"), New("s", key="k", digest=b"2")
    busy, delayed, gone = New("s", on_busy="reject"), New("s", not_before=FUTURE), New("s", on_busy="reject")
    await started(hand, first, same, other, busy, delayed)

    answer = await hand.start(first, same, other, busy, delayed, gone)

    assert [place is not None for place in answer.places or []] == [True, False, False, False, False, False]
    assert [await hand.status(each) for each in (first, same, other, busy, delayed)] == [
        "queued", "duplicate", "rejected", "rejected", "queued",
    ]  # fmt: skip
    assert await hand.turn(gone) is None
    assert await hand.rows(STARTS) == []


async def test_what_was_sent_to_a_turn_before_it_is_accepted_is_there_with_it(hand: Hand, pool: Pool) -> None:
    parent, child = New("parent"), New("child")
    await running(hand, parent)
    await started(hand, child, writer=parent)
    await hand.rows(
        "SELECT * FROM send_early($1, gen_random_uuid(), $2, $3::smallint, $4, $5, 'signal', 'go', 'r', 'x', 9, 9)",
        child.partition, LANE, child.bucket, TENANT, child.turn_id,
    )  # fmt: skip
    seq = (await hand.turn(parent))["seq"]
    sent = [Sent(child, "resume", request="again")]
    await hand.flush(Change(parent, ("running", 1, seq), "running", events=[("step.completed", "x")], sent=sent))

    await hand.start(child)

    due = await Heads(pool, LANE, input_size_bytes_max=9).due_inbox(ALL_BUCKETS, [], dict.fromkeys(Queue, 10), 1_000)
    assert {(row.kind, row.head and row.head.status) for row in due if row.turn_id == child.turn_id} == {
        ("signal", "queued"),
        ("resume", "queued"),
    }


async def test_the_starts_of_one_flush_are_read_in_the_order_in_which_they_were_asked_for(
    hand: Hand, rows: StartRows
) -> None:
    parent = New("parent")
    await running(hand, parent)
    children = [with_id(New("s"), 100 - number) for number in range(10)]
    await started(hand, *children[:6], writer=parent)
    await started(hand, *children[6:], writer=parent)

    found = await rows.due(ALL_BUCKETS, -1, BOUNDS)

    assert [row.turn_id for row in found] == [each.turn_id for each in children]
    assert found[0][:5] == (children[0].turn_id, children[0].bucket, TENANT, children[0].session_id, b"record")


async def test_buckets_take_turns_and_a_read_has_its_bounds(hand: Hand, rows: StartRows, pool: Pool) -> None:
    many, few = [New("many") for _ in range(5)], [New(f"few-{number}") for number in range(3)]
    await started(hand, *many, *few)
    buckets = sorted({each.bucket for each in (*many, *few)})
    firsts = {many[0].bucket: [many[0].turn_id, many[1].turn_id]} | {each.bucket: [each.turn_id] for each in few}

    found = await rows.due(ALL_BUCKETS, -1, BOUNDS._replace(rows_per_bucket_max=2))
    assert [row.turn_id for row in found] == list(itertools.chain(*(firsts[bucket] for bucket in buckets)))

    behind = await rows.due(ALL_BUCKETS, buckets[1], BOUNDS)
    assert sorted({row.bucket for row in behind}) == buckets[2:]

    others = [(0, many[0].bucket - 1), (many[0].bucket + 1, 1023)]
    assert {row.turn_id for row in await rows.due(others, -1, BOUNDS)} == {each.turn_id for each in few}
    assert len(await rows.due(ALL_BUCKETS, -1, BOUNDS._replace(rows_max=3))) == 3
    assert len(await rows.due(ALL_BUCKETS, -1, BOUNDS._replace(size_bytes_max=7))) == 2
    left = await rows.due(ALL_BUCKETS, -1, BOUNDS, [each.turn_id for each in many])
    assert {row.turn_id for row in left} == {each.turn_id for each in few}
    assert await StartRows(pool, "other").due(ALL_BUCKETS, -1, BOUNDS) == []


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_what_is_left_out_is_looked_up_however_much_it_is(store_dsn: str, plans: str) -> None:
    """Ten thousand starts that nobody can read once took a second of each look: each was compared with all."""
    connection = await connect(store_dsn)
    await connection.execute(f"SET plan_cache_mode = {plans}")
    left = [uuid.uuid4() for _ in range(10_000)]
    types = "text, smallint[], smallint[], integer, bigint, bigint, bigint, uuid[]"
    await connection.execute(f"PREPARE due ({types}) AS " + load_queries("start")["due_starts"])
    named = ", ".join(f"'{each}'" for each in left)

    explained = await connection.fetch(
        f"EXPLAIN EXECUTE due ('{LANE}', '{{0}}', '{{1023}}', -1, 32, 500, 1000000, ARRAY[{named}]::uuid[])"
    )

    await connection.close()
    assert "hashed SubPlan" in "".join(row[0] for row in explained)


async def test_who_looks_at_the_inbox_hears_that_starts_wait(hand: Hand, pool: Pool) -> None:
    child = New("child")
    heads = Heads(pool, LANE, input_size_bytes_max=9)
    assert await heads.next_due(ALL_BUCKETS) == (None, False)

    await started(hand, child)

    assert await heads.next_due(ALL_BUCKETS) == (None, True)
    assert await heads.next_due([(0, child.bucket - 1), (child.bucket + 1, 1023)]) == (None, False)
    await hand.start(child)
    assert await heads.next_due(ALL_BUCKETS) == (None, False)


async def test_a_turn_that_was_started_is_expected_by_its_tenant_until_it_is_here(hand: Hand, pool: Pool) -> None:
    child = New("child")
    long_ago = datetime.now(UTC) - timedelta(hours=1)

    async def is_expected(tenant: str = TENANT, lane: str = LANE) -> bool:
        return await is_turn_expected(pool, child.turn_id, tenant, lane, child.partition, long_ago, 15.0)

    async def started_at(tenant: str = TENANT) -> datetime | None:
        facts = await explain_arrival(
            pool, child.turn_id, tenant, LANE, partition=child.partition, heartbeat_ttl_s=10.0
        )
        return facts.started_at

    await hand.rows("UPDATE positions SET accepted_through = now() RETURNING 1")
    assert (await is_expected(), await started_at()) == (False, None)

    await started(hand, child)

    await hand.rows("UPDATE positions SET accepted_through = now() RETURNING 1")
    assert await is_expected()
    assert await started_at() is not None
    assert not await is_expected(tenant="another")
    assert not await is_expected(lane="another")
    assert await started_at("another") is None

    await hand.start(child)
    assert (await is_expected(), await started_at()) == (False, None)


async def test_another_tenants_start_is_not_expected_even_before_the_log_was_read(hand: Hand, pool: Pool) -> None:
    child = New("child")
    await started(hand, child)

    expected = [
        await is_turn_expected(pool, child.turn_id, tenant, LANE, child.partition, datetime.now(UTC), 15.0)
        for tenant in (TENANT, "another")
    ]

    assert expected == [True, False]


async def test_flushes_that_say_a_start_again_and_accepts_of_it_do_not_lock_up(open_hand: OpenHand) -> None:
    rounds = 40
    parent = New("parent")
    children = [elsewhere(parent) for _ in range(5)]
    writer, owner = await open_hand(), await open_hand()
    await writer.claim(parent.partition)
    await owner.claim(children[0].partition)
    await running(writer, parent)

    async def write() -> None:
        for n in range(rounds):
            sent = [Sent(each, "start", payload=b"r") for each in children]
            sent += [Sent(each, request=f"{n % 3}") for each in reversed(children)]
            change = Change(parent, ("running", 1, n + 1), "running", events=[("step.completed", f"s{n}")], sent=sent)
            assert (await writer.flush(change)).applied is None

    async def accept() -> None:
        for _ in range(rounds):
            assert (await owner.start(*children)).held == [True]

    async with asyncio.timeout(60):
        await asyncio.gather(write(), accept())
        await accept()

    assert await owner.rows(STARTS) == []
    counted = await owner.rows("SELECT count(*) FROM turns WHERE session_id = $1", children[0].session_id)
    assert counted == [(len(children),)]

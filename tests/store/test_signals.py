"""Signals that are being written, as the owner of their turn waits for them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from argosy.store.head import Heads, SentSignal
from argosy.store.inbox import InboxRequest, SignalSent, UnreadBounds, send_signal
from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.turn.inbox import RowKind
from tests.store.hand import LANE, TENANT, Change, Hand, New
from tests.store.test_flush import QUEUED, STARTED

SEND = load_queries("inbox")["send_signal"]
PLENTY = UnreadBounds(1_000, 1_000_000)


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 2, 30.0)
    yield pool
    await pool.close()


@pytest.fixture
async def heads(pool: Pool) -> Heads:
    return Heads(pool, LANE, input_size_bytes_max=100)


@pytest.fixture
async def writer(store_dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy"})
    yield connection
    await connection.close()


@pytest.fixture
async def turn(hand: Hand) -> New:
    turn = New("s")
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "suspended", events=STARTED))
    return turn


async def write(connection: Any, turn: New, name: str) -> SentSignal:
    """As send_signal does, on a connection of our own."""
    sent = SentSignal(uuid.uuid4(), turn.turn_id, turn.bucket, name, b"1", TENANT)
    request_id = str(sent.inbox_id)
    assert await connection.fetchrow(SEND, turn.turn_id, TENANT, LANE, sent.inbox_id, name, request_id, b"1", *PLENTY)
    return sent


async def is_held_up(connection: Any) -> None:
    """Returns once a statement of somebody else waits for an advisory lock."""
    async with asyncio.timeout(5):
        while not await connection.fetchval(  # noqa: ASYNC110 — Postgres has no event for it
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ):
            await asyncio.sleep(0.001)


async def test_a_signal_that_is_being_written_is_waited_for(writer: Any, heads: Heads, turn: New) -> None:
    transaction = writer.transaction()
    await transaction.start()
    sent = await write(writer, turn, "go")

    awaiting = asyncio.create_task(heads.await_signals([uuid.uuid4(), turn.turn_id]))
    await is_held_up(writer)
    await transaction.commit()

    assert await awaiting == [sent]


async def test_a_signal_that_is_given_up_is_not_found(writer: Any, heads: Heads, turn: New) -> None:
    transaction = writer.transaction()
    await transaction.start()
    await write(writer, turn, "go")

    awaiting = asyncio.create_task(heads.await_signals([turn.turn_id]))
    await is_held_up(writer)
    await transaction.rollback()

    assert await awaiting == []


async def test_who_cannot_commit_is_not_waited_for(writer: Any, heads: Heads, turn: New) -> None:
    transaction = writer.transaction()
    await transaction.start()
    await write(writer, turn, "go")

    async with asyncio.timeout(5):
        found = await heads.await_signals([turn.turn_id])

    assert found == []
    await transaction.commit()
    assert [each.name for each in await heads.await_signals([turn.turn_id])] == ["go"]


async def test_signals_come_in_the_order_in_which_they_were_sent(writer: Any, heads: Heads, turn: New) -> None:
    sent = [await write(writer, turn, f"s{n}") for n in range(5)]

    assert await heads.await_signals([turn.turn_id]) == sent


async def test_a_turn_that_has_ended_or_a_request_that_was_seen_gets_no_row(
    pool: Pool, heads: Heads, hand: Hand, turn: New
) -> None:
    request = InboxRequest(turn.turn_id, None, turn.bucket, RowKind.SIGNAL, "go", "key", b"1")

    first = await send_signal(pool, request, uuid.uuid4(), TENANT, LANE, PLENTY)
    again = await send_signal(pool, request, uuid.uuid4(), TENANT, LANE, PLENTY)
    await hand.flush(Change(turn, ("suspended", 1, 1), "cancelled", events=[("turn.cancelled", "")]))
    late = await send_signal(pool, request._replace(request_id="other"), uuid.uuid4(), TENANT, LANE, PLENTY)

    assert first is not None
    assert (again, late) == (None, None)
    assert await hand.rows("SELECT state FROM inbox") == [("late",)]
    assert await heads.await_signals([turn.turn_id]) == []


async def test_who_waits_for_one_turn_holds_up_nobody_who_writes_to_another(
    store_dsn: str, writer: Any, heads: Heads, hand: Hand, turn: New
) -> None:
    other = New("other")
    await hand.accept(other)
    await hand.flush(Change(other, QUEUED, "suspended", events=STARTED))
    transaction = writer.transaction()
    await transaction.start()
    await write(writer, turn, "go")
    beside = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy", "lock_timeout": "1ms"})

    awaiting = asyncio.create_task(heads.await_signals([other.turn_id, turn.turn_id]))
    await is_held_up(writer)
    sent = await write(beside, other, "go")

    assert await awaiting == [sent]
    await transaction.rollback()
    await beside.close()


async def send(
    pool: Pool, turn: New, bounds: UnreadBounds, payload: bytes = b"1", key: str = "", name: str = "go"
) -> SignalSent | None:
    signal_id = uuid.uuid4()
    request = InboxRequest(turn.turn_id, None, turn.bucket, RowKind.SIGNAL, name, key or str(signal_id), payload)
    return await send_signal(pool, request, signal_id, TENANT, LANE, bounds)


def verdicts(sent: list[SignalSent | None]) -> list[str]:
    return sorted("none" if each is None else "full" if each.is_full else "written" for each in sent)


async def test_however_many_signals_come_at_once_a_turn_has_no_more_than_its_bound(
    store_dsn: str, hand: Hand, turn: New
) -> None:
    pools = [Pool(store_dsn, 8, 30.0) for _ in range(2)]

    sent = await asyncio.gather(*(send(pools[n % 2], turn, UnreadBounds(5, 1_000)) for n in range(40)))

    assert verdicts(sent) == ["full"] * 35 + ["written"] * 5
    assert await hand.rows("SELECT count(*) FROM inbox") == [(5,)]
    for pool in pools:
        await pool.close()


async def test_signals_are_bounded_in_bytes(pool: Pool, hand: Hand, turn: New) -> None:
    bounds = UnreadBounds(100, 1_000)

    sent = [await send(pool, turn, bounds, b"x" * size) for size in (600, 401, 400, 1)]

    assert [each and each.is_full for each in sent] == [False, True, False, True]


async def test_what_was_taken_or_came_late_makes_room_and_what_is_kept_does_not(
    pool: Pool, hand: Hand, turn: New
) -> None:
    bounds = UnreadBounds(2, 1_000)
    for name in ("a", "b"):
        await send(pool, turn, bounds, name=name)
    await hand.rows("UPDATE inbox SET state = 'buffered' RETURNING 1")
    before = await send(pool, turn, bounds)

    await hand.rows("UPDATE inbox SET state = 'consumed' WHERE name = 'a' RETURNING 1")
    after = [await send(pool, turn, bounds) for _ in range(2)]

    assert verdicts([before, *after]) == ["full", "full", "written"]


async def test_a_repeated_request_is_found_whether_there_is_room_or_not(pool: Pool, hand: Hand, turn: New) -> None:
    bounds = UnreadBounds(1, 1_000)

    sent = [await send(pool, turn, bounds, key="k") for _ in range(3)]

    assert [each and each.is_full for each in sent] == [False, None, None]


async def test_what_was_sent_to_a_duplicate_counts_and_other_turns_do_not(pool: Pool, hand: Hand) -> None:
    first, again, other = New("b", key="k"), New("b", key="k"), New("c")
    await hand.accept(first, again, other)
    await hand.rows(
        "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, name, payload)"
        " SELECT gen_random_uuid(), 'default', $1, $2, $3, 'signal', 'x', '1' FROM generate_series(1, 2) RETURNING 1",
        again.bucket, TENANT, again.turn_id,
    )  # fmt: skip
    bounds = UnreadBounds(2, 1_000)

    sent = [await send(pool, each, bounds) for each in (first, other)]

    assert [each and each.is_full for each in sent] == [True, False]


async def test_only_a_suspended_turn_of_few_events_is_read_ahead(heads: Heads, hand: Hand, turn: New) -> None:
    queued = New("q")
    await hand.accept(queued)
    both = [turn.turn_id, queued.turn_id]

    assert [each.turn_id for each in await heads.load_suspended(both, 1)] == [turn.turn_id]
    assert await heads.load_suspended(both, 0) == []
    assert {each.turn_id for each in await heads.load_turns(both)} == set(both)


async def test_what_is_read_ahead_is_bounded_and_is_what_was_sent_first(writer: Any, heads: Heads, turn: New) -> None:
    sent = [await write(writer, turn, name) for name in "abc"]
    heads.load_size_bytes_max = 2  # each has one byte

    assert await heads.await_signals([turn.turn_id]) == sent[:2]

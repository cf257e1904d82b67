"""Signals that are being written, as the owner of their turn waits for them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from argosy.store.head import Heads, SentSignal
from argosy.store.inbox import InboxRequest, send_signal
from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from tests.store.hand import LANE, TENANT, Change, Hand, New
from tests.store.test_flush import QUEUED, STARTED

SEND = load_queries("inbox")["send_signal"]


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
    sent = SentSignal(uuid.uuid4(), turn.turn_id, turn.bucket, name, b"1")
    request_id = str(sent.inbox_id)
    assert await connection.fetchrow(SEND, turn.turn_id, TENANT, LANE, sent.inbox_id, name, request_id, b"1")
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
    request = InboxRequest(turn.turn_id, None, turn.bucket, "signal", "go", "key", b"1")

    first = await send_signal(pool, request, uuid.uuid4(), TENANT, LANE)
    again = await send_signal(pool, request, uuid.uuid4(), TENANT, LANE)
    await hand.flush(Change(turn, ("suspended", 1, 1), "cancelled", events=[("turn.cancelled", "")]))
    late = await send_signal(pool, request._replace(request_id="other"), uuid.uuid4(), TENANT, LANE)

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


async def test_signals_to_one_turn_are_written_beside_each_other(store_dsn: str, writer: Any, turn: New) -> None:
    transaction = writer.transaction()
    await transaction.start()
    await write(writer, turn, "one")
    beside = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy", "lock_timeout": "1ms"})

    assert await write(beside, turn, "two")

    await transaction.rollback()
    await beside.close()


async def test_only_a_suspended_turn_of_few_events_is_read_ahead(heads: Heads, hand: Hand, turn: New) -> None:
    queued = New("q")
    await hand.accept(queued)
    both = [turn.turn_id, queued.turn_id]

    assert [each.turn_id for each in await heads.load_suspended(both, 1)] == [turn.turn_id]
    assert await heads.load_suspended(both, 0) == []
    assert {each.turn_id for each in await heads.load_turns(both)} == set(both)

"""Waits for a shard that are made due at once: those for this shard, in these buckets, so many and no more."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.store.head import Heads
from argosy.store.pool import Pool
from tests.store.hand import LANE, TENANT, Hand

SHARD, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
ALL = [(0, 1023)]
WAIT = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, name, correlation, payload, due_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, 'graph:write~3', $8, now() + make_interval(secs => $9))"
)
DUE = "SELECT inbox_id FROM inbox WHERE due_at <= now()"


@pytest.fixture
async def heads(store_dsn: str) -> AsyncIterator[Heads]:
    pool = Pool(store_dsn, 2, 30.0)
    yield Heads(pool, LANE, input_size_bytes_max=100)
    await pool.close()


async def wait(
    hand: Hand,
    shard: uuid.UUID | None = SHARD,
    *,
    bucket: int = 5,
    kind: str = "timer",
    name: str = "retry",
    lane: str = LANE,
    due_s: float = 50.0,
) -> uuid.UUID:
    inbox_id, payload = uuid.uuid4(), None if shard is None else str(shard).encode()
    await hand.connections[2].execute(WAIT, inbox_id, lane, bucket, TENANT, uuid.uuid4(), kind, name, payload, due_s)
    return inbox_id


async def due(hand: Hand) -> set[uuid.UUID]:
    return {row[0] for row in await hand.connections[2].fetch(DUE)}


async def test_waits_for_the_shard_are_due_at_once_and_nothing_else_is(hand: Hand, heads: Heads) -> None:
    mine = {await wait(hand), await wait(hand, bucket=7)}
    await wait(hand, OTHER)
    await wait(hand, None)
    await wait(hand, bucket=9)
    await wait(hand, lane="another")
    await wait(hand, name="deadline")
    await wait(hand, kind="signal")
    await wait(hand, due_s=70.0)

    hastened = await heads.hasten_retries([(0, 6), (7, 8)], SHARD, 60.0, 100)

    assert hastened == len(mine)
    assert await due(hand) == mine
    assert await heads.hasten_retries([(0, 6), (7, 8)], SHARD, 60.0, 100) == 0


async def test_no_more_than_so_many_are_due_at_once_the_soonest_first(hand: Hand, heads: Heads) -> None:
    waits = [await wait(hand, due_s=float(seconds)) for seconds in (50, 10, 30, 20)]

    assert await heads.hasten_retries(ALL, SHARD, 60.0, 2) == 2
    assert await due(hand) == {waits[1], waits[3]}


async def test_a_row_that_is_being_written_is_left_and_not_waited_for(hand: Hand, heads: Heads) -> None:
    held, free = await wait(hand, due_s=10.0), await wait(hand)
    async with hand.connections[1].transaction():
        await hand.connections[1].execute("DELETE FROM inbox WHERE inbox_id = $1", held)

        assert await heads.hasten_retries(ALL, SHARD, 60.0, 10) == 1

    assert await due(hand) == {free}

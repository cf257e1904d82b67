"""A row of the inbox that an older version wrote for a tenant who named another's turn: nobody takes it."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.store.head import Heads
from argosy.store.pool import Pool
from argosy.turn.inbox import Queue
from tests.store.hand import LANE, TENANT, Change, Hand, New
from tests.store.test_flush import QUEUED, STARTED

NIL = uuid.UUID(int=0)


@pytest.fixture
async def heads(store_dsn: str) -> AsyncIterator[Heads]:
    pool = Pool(store_dsn, 2, 30.0)
    yield Heads(pool, LANE, input_size_bytes_max=100)
    await pool.close()


async def write(hand: Hand, turn: New, tenant: str, kind: str) -> uuid.UUID:
    row_id = uuid.uuid4()
    await hand.rows(
        "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, name, request_id, payload)"
        " VALUES ($1, $2, $3, $4, $5, $6, 'go', $4, '1') RETURNING 1",
        row_id, LANE, turn.bucket, tenant, turn.turn_id, kind,
    )  # fmt: skip
    return row_id


async def test_no_read_of_a_worker_gives_another_tenants_row_to_a_turn(hand: Hand, heads: Heads) -> None:
    turn = New("s")
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "suspended", events=STARTED))
    for kind in ("signal", "cancel", "resume"):
        await write(hand, turn, "another", kind)

    (head,) = await heads.load_heads(0, NIL, 1023, 10)
    (loaded,) = await heads.load_turns([turn.turn_id])
    due = await heads.due_inbox([(0, 1023)], [], dict.fromkeys(Queue, 10), 1_000)

    assert not head.has_rows
    assert loaded.signals == []
    assert due == []
    assert await heads.await_signals([turn.turn_id]) == []


async def test_a_tenants_own_row_beside_it_is_read(hand: Hand, heads: Heads) -> None:
    turn = New("s")
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "suspended", events=STARTED))
    await write(hand, turn, "another", "signal")
    mine = await write(hand, turn, TENANT, "signal")

    (head,) = await heads.load_heads(0, NIL, 1023, 10)
    (loaded,) = await heads.load_turns([turn.turn_id])
    due = await heads.due_inbox([(0, 1023)], [], dict.fromkeys(Queue, 10), 1_000)

    assert head.has_rows
    assert [signal[0] for signal in loaded.signals] == [mine]
    assert [row.inbox_id for row in due] == [mine]
    assert [row.inbox_id for row in await heads.await_signals([turn.turn_id])] == [mine]

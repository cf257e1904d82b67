"""A turn has as many names as requests were made for it under its key: what is sent under one key takes effect once,
whatever name it is sent to, before, while and after its records are accepted. On PostgreSQL 15 and 18.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from argosy import config, ids
from argosy.logs.open import ensure
from tests.conftest import fresh_database, in_thread
from tests.gateway.conftest import gateway_of
from tests.store.hand import LANE, PARTITION_COUNT, TENANT, Change, Hand, New

S1 = {"idempotency-key": "S1"}


@pytest.fixture(scope="module", params=["15", "18"], ids=["postgres15", "postgres18"])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    server_dsn = str(request.getfixturevalue("postgres_15_dsn" if request.param == "15" else "postgres_dsn"))
    with fresh_database(server_dsn, str(request.getfixturevalue(f"template_{request.param}"))) as dsn:

        async def prepare() -> None:
            await ensure(config.load({}, state_db_uri=dsn, agent_turns_partitions=PARTITION_COUNT), dsn)

        in_thread(prepare)
        yield dsn


@pytest.fixture
async def hand(dsn: str) -> AsyncIterator[Hand]:
    hand = await Hand(dsn).open()
    await hand.claim()
    yield hand
    await hand.close()


@pytest.fixture
async def client(dsn: str, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    settings = config.load({}, state_db_uri=dsn, argosy_data_dir=tmp_path, allow_tenant_header=True)
    async with gateway_of(settings, TENANT) as client:
        yield client


def names_of_one(session: str, count: int) -> list[New]:
    """Records of one request that was repeated under its key."""
    bucket = ids.bucket_of(ids.session_id_of(TENANT, LANE, session))
    mint = ids.TurnIdMint(TENANT, LANE).mint
    return [New(session, key="k", digest=b"d", turn_id=mint(bucket)) for _ in range(count)]


def new_session() -> str:
    return f"s-{uuid.uuid4().hex}"


async def signal(client: httpx2.AsyncClient, turn: New) -> httpx2.Response:
    return await client.post(f"/v1/turns/{turn.turn_id}/signals/go", json=1, headers=S1)


async def inbox_of(hand: Hand, *turns: New) -> list[tuple[Any, ...]]:
    return await hand.rows(
        "SELECT turn_id, kind, inbox_id FROM inbox WHERE turn_id = ANY ($1)", [t.turn_id for t in turns]
    )


async def early_of(hand: Hand, *turns: New) -> list[tuple[Any, ...]]:
    return await hand.rows("SELECT inbox_id FROM early WHERE turn_id = ANY ($1)", [each.turn_id for each in turns])


async def test_a_signal_sent_to_a_duplicate_before_and_after_it_is_accepted_is_one_signal(
    client: httpx2.AsyncClient, hand: Hand
) -> None:
    first, second = names_of_one(new_session(), 2)

    before = await signal(client, second)
    await hand.accept(first, second)
    after = await signal(client, second)
    to_the_first = await signal(client, first)

    assert await hand.status(second) == "duplicate"
    assert [each.status_code for each in (before, after, to_the_first)] == [202] * 3
    (row,) = await inbox_of(hand, first, second)
    assert row == (first.turn_id, "signal", uuid.UUID(before.json()["signal_id"]))
    assert before.json()["signal_id"] == after.json()["signal_id"] == to_the_first.json()["signal_id"]


async def test_signals_sent_early_to_two_names_of_a_turn_are_one_signal(client: httpx2.AsyncClient, hand: Hand) -> None:
    first, second, third = names_of_one(new_session(), 3)

    for name in (second, first, third):
        await signal(client, name)
        await client.post(f"/v1/turns/{name.turn_id}/cancel")
    await hand.accept(first)
    await hand.accept(second, third)

    rows = await inbox_of(hand, first, second, third)
    assert sorted(row[:2] for row in rows) == [(first.turn_id, "cancel"), (first.turn_id, "signal")]
    assert await early_of(hand, first, second, third) == []


async def test_a_resume_sent_to_two_names_of_a_parked_turn_is_one_resume(
    client: httpx2.AsyncClient, hand: Hand
) -> None:
    first, second = names_of_one(new_session(), 2)
    await hand.accept(first, second)
    await hand.flush(Change(first, ("queued", 0, 0), "parked", events=[("turn.started", ""), ("turn.parked", "")]))

    answers = [
        await client.post(f"/v1/turns/{name.turn_id}/resume", headers=key)
        for key in (S1, {})
        for name in (second, first, second)
    ]

    assert [each.status_code for each in answers] == [202] * 6
    assert len(await inbox_of(hand, first, second)) == 2


@pytest.mark.parametrize("is_first_here", [True, False])
async def test_however_signals_meet_the_accept_of_their_turn_and_its_duplicate_one_takes_effect(
    client: httpx2.AsyncClient, hand: Hand, is_first_here: bool
) -> None:
    chance = random.Random(20)
    for _ in range(25):
        first, second = names = names_of_one(new_session(), 2)
        if is_first_here:
            await hand.accept(first)

        async def send(to: New, after_s: float) -> httpx2.Response:
            await asyncio.sleep(after_s)
            return await signal(client, to)

        async def accept(names: list[New]) -> None:
            await asyncio.sleep(0.004)
            await hand.accept(*names)

        sending = [send(chance.choice(names), chance.random() * 0.012) for _ in range(8)]
        answers, _ = await asyncio.gather(
            asyncio.gather(*sending), accept([second] if is_first_here else [first, second])
        )
        answers.append(await signal(client, second))

        assert {each.status_code for each in answers} == {202}
        (row,) = await inbox_of(hand, first, second)
        assert (row[0], str(row[2])) == (first.turn_id, answers[-1].json()["signal_id"])
        assert await early_of(hand, first, second) == []


async def test_a_signal_waits_for_an_accept_that_is_under_way(client: httpx2.AsyncClient, hand: Hand, dsn: str) -> None:
    first, second = names_of_one(new_session(), 2)
    await hand.accept(first)
    transaction = hand.connections[1].transaction()
    await transaction.start()
    await hand.accept(second)

    sending = asyncio.create_task(signal(client, second))
    await is_held_up(dsn)
    await transaction.commit()

    assert (await sending).json()["turn_id"] == str(first.turn_id)
    assert len(await inbox_of(hand, first, second)) == 1


async def test_an_accept_waits_for_a_signal_that_is_being_written(
    client: httpx2.AsyncClient, hand: Hand, dsn: str
) -> None:
    first, second = names_of_one(new_session(), 2)
    await hand.accept(first)
    writer = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    transaction = writer.transaction()
    await transaction.start()
    row_id = await writer.fetchval(
        "SELECT sent_id FROM send_early($1, $2, $3, $4, $5, $6, 'signal', 'go', 'S1', '1', 10, 1000)",
        second.partition, uuid.uuid4(), LANE, second.bucket, TENANT, second.turn_id,
    )  # fmt: skip

    accepting = asyncio.create_task(hand.accept(second))
    await is_held_up(dsn)
    await transaction.commit()
    await accepting
    await writer.close()

    assert await inbox_of(hand, first, second) == [(first.turn_id, "signal", row_id)]
    assert (await signal(client, second)).json()["signal_id"] == str(row_id)


async def is_held_up(dsn: str) -> None:
    """Returns once a statement waits for an advisory lock."""
    connection = await asyncpg.connect(dsn)
    async with asyncio.timeout(5):
        while not await connection.fetchval(  # noqa: ASYNC110 — Postgres has no event for it
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ):
            await asyncio.sleep(0.001)
    await connection.close()

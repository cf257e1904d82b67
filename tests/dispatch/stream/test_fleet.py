"""Watching real workers: what runs there is told as it happens, while partitions change hands and workers die."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest

from argosy.ids import session_id_of
from argosy.secret import keys_of
from tests.dispatch.stream.gateway import Gateway
from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet
from tests.harness.owners import partition_of_session, until_shared

PARTITIONS = 8
ONE_LOG = pytest.mark.parametrize("log_name", ["postgres"])


class Found:
    """Who owns the partition of a session, as Postgres has it."""

    def __init__(self, owner: uuid.UUID, epoch: int, address: str) -> None:
        self.worker_id = owner
        self.epoch = epoch
        self.address = address


async def find_owner(fleet: Fleet, session: str) -> Found:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        row = await connection.fetchrow(
            "SELECT owner, epoch, address FROM partitions WHERE partition = $1",
            partition_of_session(session, PARTITIONS),
        )
        return Found(*row)
    finally:
        await connection.close()


async def find_rows(fleet: Fleet, turn_id: str) -> list[tuple[Any, ...]]:
    """The durable events of a turn, as Postgres has them, and with the last of them the turn's result."""
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        rows = await connection.fetch(
            """SELECT place, lineage, events.seq, events.attempt, type, key,
                      CASE type WHEN 'turn.completed' THEN '{"result":'::bytea || result || '}'::bytea ELSE data END,
                      (extract(epoch FROM at) * 1000000)::bigint
               FROM events JOIN turns USING (turn_id) WHERE turn_id = $1 ORDER BY events.seq""",
            uuid.UUID(turn_id),
        )
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


def _row_of(event: Any) -> tuple[Any, ...]:
    return (event.place, event.lineage, event.seq, event.attempt, event.type, event.key, event.data, event.at_us)


def watch(fleet: Fleet, found: Found) -> Gateway:
    key = keys_of(fleet.environment["GRAPH_SERVICE_AUTH_SECRET"].encode()).calls
    return Gateway(found.address, found.worker_id, key)


def told(gateway: Gateway, number: int) -> list[str]:
    return [event.type for event in gateway.of(number, "event")]


@ONE_LOG
@pytest.mark.slow
async def test_a_turn_is_told_from_its_start_to_its_end(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    idle_fleet.start(1)
    turn_id = await client.post("warm", "steps", effects=1)
    await client.until_status([turn_id])
    async with watch(idle_fleet, await find_owner(idle_fleet, "said")) as gateway:
        number = await gateway.subscribe(session_id=session_id_of("default", "default", "said"))

        sent_s = time.monotonic()
        turn_id = await client.post("said", "tells", effects=2, words=30)
        await gateway.until(lambda: "turn.started" in told(gateway, number))
        started_s = time.monotonic() - sent_s
        await gateway.until(lambda: "turn.completed" in told(gateway, number))

        events = gateway.of(number, "event")
        assert {event.turn_id for event in events} == {uuid.UUID(turn_id).bytes}
        assert [_row_of(event) for event in events] == await find_rows(idle_fleet, turn_id)
        text = (await client.turn(turn_id))["result"]["text"]
        assert text.startswith(gateway.text(number))
        assert len(gateway.of(number, "frame")) > 5
        assert started_s < 1
    await client.judge(disruptions=0)


@ONE_LOG
async def test_a_text_goes_on_at_the_former_owner_while_its_partition_changes_hands(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (first,) = idle_fleet.start(1)
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    await until_reached(client.sink, [turn_id])
    old = await find_owner(idle_fleet, "said")
    async with watch(idle_fleet, old) as former:
        number = await former.subscribe(turn_id=uuid.UUID(turn_id))
        await former.until(lambda: former.text(number) != "")

        second = await asyncio.to_thread(idle_fleet.worker)
        first.process.terminate()
        await until_shared(client, [second], PARTITIONS)
        await former.until(lambda: bool(former.of(number, "moved")))
        length = len(former.text(number))
        new = await find_owner(idle_fleet, "said")
        async with watch(idle_fleet, new) as owner:
            mine = await owner.subscribe(turn_id=uuid.UUID(turn_id), epoch=new.epoch)
            await owner.until(lambda: bool(owner.of(mine, "at")))
            (at,) = owner.of(mine, "at")
            async with watch(idle_fleet, Found(uuid.UUID(bytes=at.worker_id), 0, at.address)) as late:
                frames = await late.subscribe(turn_id=uuid.UUID(turn_id), frames_only=True)
                await late.until(lambda: len(late.text(frames)) > length)
            await former.until(lambda: len(former.text(number)) > length)
            latch.release()
            await former.until(lambda: former.of(number, "moved")[-1].still_streams is False)
            await owner.until(lambda: "turn.completed" in told(owner, mine))

    assert (old.worker_id.bytes, old.address) == (at.worker_id, at.address)
    assert [each.still_streams for each in former.of(number, "moved")] == [True, False]
    assert "channel_reset" not in former.kinds(number)
    assert "gap" not in former.kinds(number)
    assert told(owner, mine) == ["step.completed", "step.completed", "turn.completed"]
    assert {event.attempt for event in owner.of(mine, "event")} == {1}
    text = (await client.turn(turn_id))["result"]["text"]
    assert text.startswith(former.text(number))
    await client.judge(disruptions=0)
    assert await asyncio.to_thread(first.wait_dead) == 0


@ONE_LOG
async def test_a_killed_owner_ends_its_streams_and_the_next_one_announces_the_reset(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, second = idle_fleet.start(2)
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    await until_reached(client.sink, [turn_id])
    old = await find_owner(idle_fleet, "said")
    (killed,) = [each for each in (first, second) if f":{old.address.rpartition(':')[2]}" in each.tail()]
    async with watch(idle_fleet, old) as former:
        number = await former.subscribe(turn_id=uuid.UUID(turn_id))
        await former.until(lambda: former.text(number) != "")

        killed.kill()

        assert await former.until_ended() is grpc.StatusCode.UNAVAILABLE
    await until_reached(client.sink, [turn_id], times=2)
    new = await find_owner(idle_fleet, "said")
    async with watch(idle_fleet, new) as owner:
        mine = await owner.subscribe(turn_id=uuid.UUID(turn_id), attempt=1, n=former.of(number, "frame")[-1].n)
        await owner.until(lambda: owner.text(mine) != "")
        latch.release()
        await owner.until(lambda: "turn.completed" in told(owner, mine))

        assert owner.of(mine, "frame")[0].offset == 0
        assert {frame.attempt for frame in owner.of(mine, "frame")} == {2}
    await client.judge(disruptions=1, repeatable=[turn_id])


@ONE_LOG
@pytest.mark.slow
async def test_a_delayed_turn_that_is_refused_when_it_falls_due_is_to_be_looked_up(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    idle_fleet.start(1)
    turn_id = await client.post("busy", "tells", effects=2, until=latch.path)
    await until_reached(client.sink, [turn_id])
    due = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    body: dict[str, Any] = {"workflow": "steps", "input": client.job("busy"), "on_busy": "reject", "not_before": due}
    delayed = await client.post_once("busy", body)
    assert delayed.turn_id is not None
    async with watch(idle_fleet, await find_owner(idle_fleet, "busy")) as gateway:
        number = await gateway.subscribe(turn_id=uuid.UUID(delayed.turn_id))

        await gateway.until(lambda: bool(gateway.of(number, "look")))

        await client.until_status([delayed.turn_id], {"rejected"}, within_s=2)
    latch.release()
    await client.until_status([turn_id])

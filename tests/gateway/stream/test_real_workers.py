"""Streams of real gateways from real workers: text goes on across hand-overs, deaths and gateways."""

import asyncio
import signal
import time

import asyncpg
import pytest

from tests.gateway.stream.impostor import Impostor, with_another_secret
from tests.gateway.stream.reader import Reader, Received
from tests.gateway.stream.until import until
from tests.harness.client import Client
from tests.harness.effects import Latch
from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet
from tests.harness.owners import until_shared
from tests.harness.processes import free_port

PARTITIONS = 8
ONE_LOG = pytest.mark.parametrize("log_name", ["postgres"])
ACCEPT = {"accept": "text/event-stream"}


def stream(url: str, turn_id: str, last: str = "") -> Reader:
    return Reader(url, f"/v1/turns/{turn_id}/events", ACCEPT | ({"last-event-id": last} if last else {}))


def text_of(told: list[Received]) -> str:
    """What a client has that only puts frames together, over all its connections."""
    text = ""
    for each in told:
        if each.type in ("channel.reset", "gap", "turn.reset"):
            text = ""
        elif each.type == "frame":
            text = text[: each.data["offset"]] + each.data["text"]
    return text


def seqs_of(told: list[Received]) -> list[int]:
    return [each.seq for each in told if each.type.partition(".")[0] in ("turn", "step", "wait")]


@ONE_LOG
@pytest.mark.slow
async def test_a_client_goes_on_at_another_gateway_in_the_middle_of_a_step(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    fleet = idle_fleet
    fleet.start(1)
    other = free_port()
    fleet.gateway(PORT=str(other))
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    async with stream(fleet.url, turn_id) as first:
        await first.until(8, within_s=20)
    async with stream(f"http://127.0.0.1:{other}", turn_id, first.messages[-1].id) as second:
        await second.until(5, within_s=20)
        latch.release()
        await second.until_closed(within_s=20)

    told = first.messages + second.messages
    result = (await client.turn(turn_id))["result"]
    assert seqs_of(told) == [1, 2, 3, 4]
    assert {"gap", "channel.reset"}.isdisjoint(second.types)
    assert text_of(told) == result["text"]


@ONE_LOG
@pytest.mark.slow
async def test_a_worker_that_dies_in_a_step_is_a_reset_and_the_text_is_what_was_recorded(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    fleet = idle_fleet
    (doomed,) = fleet.start(1)
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    async with stream(fleet.url, turn_id) as reader:
        await reader.until(5, within_s=20)
        doomed.kill()
        fleet.worker()
        await reader.until_type("turn.reset", within_s=30)
        count = len(reader.messages)
        await reader.until(count + 5, within_s=20)
        latch.release()
        await reader.until_closed(within_s=20)

    assert seqs_of(reader.messages) == list(range(1, 6))
    assert text_of(reader.messages) == (await client.turn(turn_id))["result"]["text"]


@ONE_LOG
@pytest.mark.slow
async def test_a_partition_changes_hands_in_the_middle_of_a_text_and_the_client_does_not_notice(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    fleet = idle_fleet
    (former,) = fleet.start(1)
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    async with stream(fleet.url, turn_id) as reader:
        await reader.until(5, within_s=20)
        successor = await asyncio.to_thread(fleet.worker)
        former.process.terminate()
        await until_shared(client, [successor], PARTITIONS)
        assert former.process.poll() is None, "it ends when its step does"
        count = len(reader.messages)
        await reader.until(count + 10, within_s=20)
        latch.release()
        await reader.until_closed(within_s=20)

    assert seqs_of(reader.messages) == [1, 2, 3, 4]
    assert set(reader.types) == {"turn.started", "frame", "step.completed", "turn.completed"}
    assert {each.body["attempt"] for each in reader.messages} == {1}
    # What the event that ends the step has and no frame had told yet comes before it, without a number of its own.
    numbers = [each.data["n"] for each in reader.messages if each.type == "frame" and each.data["n"]]
    assert numbers == sorted(set(numbers))
    assert text_of(reader.messages) == (await client.turn(turn_id))["result"]["text"]
    assert await asyncio.to_thread(former.wait_dead) == 0
    await client.judge(disruptions=0)


@ONE_LOG
@pytest.mark.slow
async def test_a_stopped_worker_is_left_for_its_successor_and_what_it_says_when_it_wakes_up_is_not_told(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    fleet = idle_fleet
    (stopped,) = fleet.start(1)
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    async with stream(fleet.url, turn_id) as reader:
        await reader.until(5, within_s=20)
        await asyncio.to_thread(fleet.worker)
        stopped.send(signal.SIGSTOP)
        try:
            await reader.until_type("turn.reset", within_s=30)
            count = len(reader.messages)
            await reader.until(count + 5, within_s=20)
        finally:
            stopped.send(signal.SIGCONT)
        count = len(reader.messages)
        await reader.until(count + 10, within_s=20)
        latch.release()
        await reader.until_closed(within_s=20)

    since = reader.types.index("turn.reset")
    assert {each.body["attempt"] for each in reader.messages[since:]} == {2}
    assert reader.types.count("turn.reset") == 1
    assert seqs_of(reader.messages) == list(range(1, 6))
    assert text_of(reader.messages) == (await client.turn(turn_id))["result"]["text"]


@ONE_LOG
@pytest.mark.parametrize("processes", ["1", pytest.param("2", marks=pytest.mark.slow)])
async def test_a_gateway_that_is_told_to_stop_sends_its_clients_away_at_once(
    idle_fleet: Fleet, client: Client, latch: Latch, processes: str
) -> None:
    fleet = idle_fleet
    gateway = fleet.begin_gateway(GATEWAY_WORKERS=processes)
    fleet.worker()
    gateway.wait_ready()
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    async with stream(fleet.url, turn_id) as reader:
        await reader.until(2, within_s=20)
        began_s = time.monotonic()
        code = await asyncio.to_thread(gateway.terminate)
        await reader.until_closed()

        assert (len(reader.retry_ms), code) == (2, 0)
        assert time.monotonic() - began_s < 5
    latch.release()


@ONE_LOG
@pytest.mark.slow
async def test_whoever_takes_the_address_of_a_killed_worker_is_not_believed(
    idle_fleet: Fleet, client: Client, latch: Latch, database: str
) -> None:
    fleet = idle_fleet
    address = f"127.0.0.1:{free_port()}"
    fleet.begin_gateway()
    doomed = fleet.worker(GRPC_PORT=address.rpartition(":")[2])
    turn_id = await client.post("said", "tells", effects=2, until=latch.path)
    connection = await asyncpg.connect(database)
    worker_id = await connection.fetchval("SELECT DISTINCT owner FROM partitions WHERE address = $1", address)
    await connection.close()
    async with stream(fleet.url, turn_id) as reader:
        await reader.until(5, within_s=20)
        doomed.kill()
        async with Impostor(with_another_secret, worker_id, address) as impostor:
            await until(lambda: len(impostor.received) > 2, within_s=20)
            fleet.worker()
            await reader.until_type("turn.reset", within_s=30)
            latch.release()
            await reader.until_closed(within_s=20)

    assert seqs_of(reader.messages) == list(range(1, 6))
    assert text_of(reader.messages) == (await client.turn(turn_id))["result"]["text"]
    assert "forged" not in str(reader.messages)

"""Turns whose results are large: written in parts, read by pages, and set aside alone when they are too large."""

import asyncio
import time

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS

SMALL = {"FLUSH_SIZE_BYTES_MAX": "65536", "FLUSH_QUEUE_SIZE_BYTES_MAX": "131072", "LOAD_SIZE_BYTES_MAX": "65536"}


@BOTH_IN_FAULTS
@pytest.mark.parametrize("crash_at", ["before_flush:5", pytest.param("after_flush:5", marks=pytest.mark.slow)])
async def test_a_worker_killed_between_two_parts_of_a_turn_loses_and_doubles_nothing(
    crash_at: str, fleet: Fleet, client: Client
) -> None:
    doomed = fleet.worker(crash_at=crash_at, **SMALL)
    turn = await client.post("large", "gathers", effects=2, n=40, size=20_000, is_waiting=False)
    assert await asyncio.to_thread(doomed.wait_dead, 15) == -9

    await asyncio.to_thread(lambda: fleet.worker(**SMALL))
    await client.until_status([turn])

    assert (await client.turn(turn))["result"] == {"size": 800_000, "word": None}
    await client.judge(disruptions=1)


@BOTH_IN_FAULTS
async def test_many_large_suspended_turns_that_are_signalled_at_once_go_on(fleet: Fleet, client: Client) -> None:
    worker = fleet.worker(**SMALL)
    turns = [await client.post(f"s{number}", "gathers", effects=2, n=10, size=20_000) for number in range(20)]
    await client.until_status(turns, {"suspended"})
    worker.kill()

    await asyncio.gather(*(client.signal(turn, "go", "now") for turn in turns))
    await asyncio.to_thread(lambda: fleet.worker(**SMALL, LOADED_SIZE_BYTES_MAX="500000"))

    await client.until_status(turns)
    assert [(await client.turn(turn))["result"]["word"] for turn in turns] == ["now"] * 20
    await client.judge(disruptions=1)


@BOTH_IN_FAULTS
async def test_a_turn_that_is_too_large_to_be_read_is_parked_alone_and_goes_on_when_the_bound_is_raised(
    fleet: Fleet, client: Client
) -> None:
    worker = fleet.worker(**SMALL)
    large = await client.post("large", "gathers", effects=2, n=10, size=20_000)
    small = await client.post("small", "waits", effects=2)
    await client.until_status([large, small], {"suspended"})
    worker.kill()

    less = await asyncio.to_thread(lambda: fleet.worker(**SMALL, HISTORY_SIZE_BYTES_MAX="100000"))
    await asyncio.gather(client.signal(large, "go", "l"), client.signal(small, "go", "s"))
    await client.until_status([small])
    parked = (await client.until_status([large], {"parked"}))[large]
    assert parked["reason"] == "history_too_large"
    assert "HISTORY_SIZE_BYTES_MAX=100000" in parked["error"]["message"]
    less.kill()

    await asyncio.to_thread(lambda: fleet.worker(**SMALL))
    assert (await client.post_to(f"/v1/turns/{large}/resume")).status_code == 202
    await client.until_status([large])
    assert (await client.turn(large))["result"] == {"size": 200_000, "word": "l"}
    await client.judge(disruptions=2)


@BOTH_IN_FAULTS
async def test_a_turn_whose_history_outgrows_its_bound_fails_and_others_go_on_meanwhile(
    fleet: Fleet, client: Client
) -> None:
    await asyncio.to_thread(lambda: fleet.worker(**SMALL, HISTORY_SIZE_BYTES_MAX="1000000"))
    large = await client.post("large", "gathers", effects=1, n=100, size=20_000)
    began_s = time.monotonic()
    small = await client.post("small", "steps", effects=1)
    await client.until_status([small])
    took_s = time.monotonic() - began_s

    failed = (await client.until_status([large]))[large]

    assert failed["status"] == "failed"
    assert "HISTORY_SIZE_BYTES_MAX=1000000" in failed["error"]["message"]
    assert took_s < 5

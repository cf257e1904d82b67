"""How long turns take is told by a fleet that runs some."""

import asyncio
from collections.abc import Callable

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 10 s")


@BOTH_IN_FAULTS
async def test_a_turn_that_waited_for_a_signal_is_in_every_histogram(fleet: Fleet, client: Client) -> None:
    worker = fleet.worker()
    turn = await client.post("s", "waits")
    await client.until_status([turn], {"suspended"})
    await client.signal(turn, "go", 2)
    await client.until_status([turn])
    await until(lambda: worker.metric("argosy_turn_seconds_count") == 1)  # the worker hears of it after Postgres

    found = {
        name: worker.metric(f"argosy_turn_{name}_count")
        for name in ("log_seconds", "queued_seconds", "suspended_seconds")
    }
    gateway = (await client.get("/metrics")).text

    assert found == {"log_seconds": 1, "queued_seconds": 1, "suspended_seconds": 1}
    assert worker.metric('argosy_turn_suspended_seconds_count{waits_for="signal"}') == 1
    assert worker.metric('argosy_turn_seconds_count{waited="yes"}') == 1
    assert 0 < worker.metric("argosy_turn_seconds_sum") < 120
    assert worker.metric("argosy_slots") > 0
    assert "argosy_gateway_append_seconds_count 1.0" in gateway
    assert "argosy_build_info{version=" in gateway

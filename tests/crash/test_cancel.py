"""Whatever a turn is doing, and whoever is dead, a cancel ends it, once, and frees what it held (F31)."""

import asyncio

import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS

SLOTS = 4


async def _turns(client: Client, latch: Latch, name: str) -> dict[str, str]:
    """One of each: running, queued behind it, suspended; and one that will be uncertain if its worker dies."""
    running = await client.post(f"{name}-running", "holds", until=latch.path)
    queued = await client.post(f"{name}-running", "steps")
    suspended = await client.post(f"{name}-suspended", "waits")
    uncertain = await client.post(f"{name}-uncertain", "holds_once", until=latch.path)
    await until_reached(client.sink, [running, uncertain], times=2)
    await client.until_status([suspended], {"suspended"})
    return {"running": running, "queued": queued, "suspended": suspended, "uncertain": uncertain}


async def _cancel(client: Client, *turns: str) -> None:
    for turn in turns:
        answer = await client.post_to(f"/v1/turns/{turn}/cancel")
        assert answer.status_code in (200, 202), answer.text


async def _until_cancelled(client: Client, *turns: str) -> None:
    read = await client.until_status(turns, within_s=15)
    assert {turn["status"] for turn in read.values()} == {"cancelled"}


@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [{"DISPATCH_SLOTS": str(SLOTS)}])
@pytest.mark.scenario(
    "F31 cancel", "queued, running, suspended, parked, worker dead or not: cancelled, once, slots free"
)
async def test_a_cancel_ends_a_turn_in_every_state_also_while_its_worker_is_dead(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (worker,) = idle_fleet.start(1)

    first = await _turns(client, latch, "alive")
    await _cancel(client, first["queued"])
    await _until_cancelled(client, first["queued"])
    await _cancel(client, first["running"], first["suspended"], first["uncertain"])
    await _until_cancelled(client, *first.values())

    second = await _turns(client, latch, "dead")
    worker.kill()
    await _cancel(client, second["running"], second["queued"], second["suspended"])
    await asyncio.to_thread(idle_fleet.worker)
    await client.until_status([second["uncertain"]], {"parked"})
    await _cancel(client, second["uncertain"])
    await _until_cancelled(client, *second.values())

    # Nothing of them holds a slot or a session.
    names = [f"{name}-{kind}" for name in ("alive", "dead") for kind in ("running", "suspended", "uncertain")]
    after = [await client.post(name, "steps", effects=1) for name in names]
    await client.until_status(after)
    await client.judge(disruptions=1)

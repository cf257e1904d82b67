"""Many turns at once, and what becomes of them when workers die; many turns behind one, and what becomes of others."""

import asyncio

import pytest

from tests.checker.sink import Sink
from tests.faults.storm import SETTINGS, Storm, converse
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.logs import KAFKA_FIRST

SESSIONS, TURNS = 100, 10


@pytest.mark.slow
@KAFKA_FIRST
@pytest.mark.parametrize("settings", [SETTINGS])
async def test_a_thousand_turns_survive_workers_that_are_killed_and_stopped(idle_fleet: Fleet, client: Client) -> None:
    """The storm of tests/faults in small."""
    workers = idle_fleet.start(3)

    storm, is_over = Storm(idle_fleet, workers, seed=1, every_s=(0.7, 1.5)), asyncio.Event()
    raging = asyncio.create_task(storm.rage(is_over))
    sessions = [f"session-{number}" for number in range(SESSIONS)]
    conversations = await asyncio.gather(*(converse(client, each, TURNS, 1, pause_s=0.5) for each in sessions))
    is_over.set()
    await raging

    await client.until_status([turn for conversation in conversations for turn in conversation], within_s=60)
    await client.judge(storm.disruptions, stopped=storm.stopped_pids)
    await until_nothing_is_left(idle_fleet)
    assert storm.disruptions >= 3


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1])
async def test_ten_thousand_turns_behind_a_suspended_one_hold_up_nobody_else(
    fleet: Fleet, client: Client, sink: Sink
) -> None:
    worker = fleet.worker()
    hot = "hot"
    head = await client.post(hot, "waits", effects=2)
    await client.until_status([head], {"suspended"})
    await _measure(client, "warm-up")
    idle_s = await _measure(client, "before")
    memory_before = worker.family()[0].memory_info().rss

    behind: list[str] = []
    body = {"workflow": "steps", "input": client.job(hot, n=1)}
    for _ in range(10):
        behind += await client.batch([(hot, body)] * 1_000, effects=1)
    await client.until_status(behind[-1:], {"queued"})
    loaded_s = await _measure(client, "after")
    memory_after = worker.family()[0].memory_info().rss

    assert loaded_s < 2 * idle_s + 0.05
    assert memory_after - memory_before < 20_000_000
    await client.signal(head, "go", None)
    await client.until_status(behind[-1:], within_s=100)
    # Ten thousand stories take minutes to read one by one: their states from the list, their order from the sink.
    listed = {turn["turn_id"]: turn["status"] for turn in await client.listed(hot)}
    assert set(listed.values()) == {"completed"}
    assert len(listed) == len(behind) + 1
    ran = [effect.turn_id for effect in sink.effects() if effect.session == hot]
    assert ran == [head, head, *behind]


async def _measure(client: Client, name: str) -> float:
    """Seconds from a POST until its turn is seen to have ended, the median of 15."""
    loop = asyncio.get_running_loop()
    took_s = []
    for number in range(15):
        started_s = loop.time()
        turn = await client.post(f"{name}-{number}", "steps", effects=1, n=1)
        await client.until_status([turn])
        took_s.append(loop.time() - started_s)
    return sorted(took_s)[len(took_s) // 2]

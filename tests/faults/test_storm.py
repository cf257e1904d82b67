"""10,000 turns, 3 workers, 2 gateways, and workers that are killed and stopped all the time (--storm-seeds N)."""

import asyncio

import pytest

from tests.checker.sink import Sink
from tests.faults.storm import SETTINGS, Storm, converse
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.leftovers import told_by_postgres, until_nothing_is_left
from tests.harness.processes import free_port

SESSIONS, TURNS = 500, 20
PAUSE_S = 3.0  # of a session between its turns: the storm lasts for a minute, at 170 turns/s


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first, count = metafunc.config.getoption("--storm-first-seed"), metafunc.config.getoption("--storm-seeds")
    metafunc.parametrize("seed", range(first, first + count))


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [16])
@pytest.mark.parametrize("settings", [SETTINGS])
@pytest.mark.scenario(
    "STORM, seed", "10,000 turns: each 202 ends once, in order, effects once, none parked, nothing left"
)
async def test_ten_thousand_turns_survive_a_storm_of_killed_and_stopped_workers(
    seed: int, idle_fleet: Fleet, sink: Sink
) -> None:
    workers = idle_fleet.start(3)
    port = free_port()
    idle_fleet.gateway(PORT=str(port))
    client = Client(idle_fleet.url, sink, f"http://127.0.0.1:{port}")

    storm, is_over = Storm(idle_fleet, workers, seed, every_s=(1.5, 4.0)), asyncio.Event()
    raging = asyncio.create_task(storm.rage(is_over))
    sessions = [f"session-{number}" for number in range(SESSIONS)]
    conversations = await asyncio.gather(*(converse(client, each, TURNS, seed, PAUSE_S) for each in sessions))
    is_over.set()
    await raging

    turns = [turn for conversation in conversations for turn in conversation]
    try:
        await client.until_status(turns, within_s=90)
    except AssertionError:
        print(await told_by_postgres(idle_fleet))
        raise
    print(f"seed {seed} struck {storm.disruptions} times: {storm.struck}")
    await client.judge(storm.disruptions, stopped=storm.stopped_pids)
    await until_nothing_is_left(idle_fleet)
    await client.close()
    assert storm.disruptions >= 10

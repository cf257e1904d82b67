"""A worker is killed with many steps running: they go on elsewhere at once, whatever the log's own time-out is."""

import signal

import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, hold_steps, until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_FIRST
from tests.harness.owners import owned_turns, sessions_over, until_shared
from tests.harness.processes import free_port

PARTITIONS = 8
RECOVERED_WITHIN_S = 3  # 0.5 s is the aim, which bench/ measures; two cores are shared with whatever else the tests do


@KAFKA_FIRST
@pytest.mark.parametrize("eligible_s", [30.0])
@pytest.mark.scenario(
    "kill -9 with 100 steps running", "they go on elsewhere within 3 s, long before the log's time-out"
)
async def test_steps_of_a_killed_worker_go_on_at_once_although_the_log_has_not_noticed(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    doomed, other = idle_fleet.start(2)
    await until_shared(client, [doomed, other], PARTITIONS)
    turns = await hold_steps(client, latch, sessions_over(PARTITIONS, each=26))
    hit = await owned_turns(client, doomed, turns, PARTITIONS)

    doomed.kill()
    took_s = await until_reached(client.sink, hit, times=3)
    latch.release()

    await client.until_status(turns)
    assert len(hit) >= 50
    assert took_s < RECOVERED_WITHIN_S
    await client.judge(disruptions=1, repeatable=hit)


@pytest.mark.slow
@KAFKA_FIRST
@pytest.mark.parametrize("eligible_s", [30.0])
@pytest.mark.scenario(
    "F16 the same worker again", "killed and started with the same ports: its old turns go on at once"
)
async def test_the_turns_of_a_worker_that_is_killed_and_started_again_go_on_at_once(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    same = {"METRICS_PORT": str(free_port()), "GRPC_PORT": str(free_port()), "ARGOSY_BUILD": "pod-0"}
    worker = idle_fleet.start(1, **same)[0]
    turns = await hold_steps(client, latch, sessions_over(PARTITIONS, each=3))

    worker.kill()
    again = idle_fleet.begin_worker(**same)
    await until_reached(client.sink, turns, times=3)
    latch.release()

    await client.until_status(turns)
    again.send(signal.SIGTERM)
    await client.judge(disruptions=1)

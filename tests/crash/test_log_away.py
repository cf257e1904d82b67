"""The only broker is away: what a killed worker ran goes on elsewhere at once, and who needs the broker says so."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from argosy.local.broker import Broker
from tests.harness import broker_nodes
from tests.harness.client import Client
from tests.harness.effects import Latch, hold_steps, until_reached
from tests.harness.fleet import Fleet
from tests.harness.own_broker import *  # noqa: F403
from tests.harness.own_broker import stalled
from tests.harness.owners import owned_turns, sessions_over, until_shared
from tests.harness.processes import Managed

PARTITIONS = 8
GOES_ON_WITHIN_S = 1.0  # 0.5 s is promised; two cores are shared with whatever else the tests do

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def away(broker: Broker, how: str) -> Iterator[None]:
    """Until the end of the block nobody answers: connections break (killed), or nothing comes (stopped)."""
    if how == "stopped":
        with stalled(broker):
            yield
        return
    broker_nodes.kill(broker, 1)
    try:
        yield
    finally:
        broker.restart(1)


@pytest.mark.parametrize("how", ["killed", "stopped"])
@pytest.mark.scenario("kill -9 while the broker is away", "the other worker goes on with its steps within 1 s")
async def test_steps_of_a_killed_worker_go_on_at_once_although_the_log_does_not_answer(
    idle_fleet: Fleet, own_broker: Broker, client: Client, latch: Latch, how: str
) -> None:
    doomed, other = await asyncio.to_thread(idle_fleet.start, 2)
    await until_shared(client, [doomed, other], PARTITIONS)
    turns = await hold_steps(client, latch, sessions_over(PARTITIONS, each=4))
    hit = await owned_turns(client, doomed, turns, PARTITIONS)

    with away(own_broker, how):
        await asyncio.sleep(4)  # the other one is in the middle of asking the log, whenever that is
        doomed.kill()
        took_s = await until_reached(client.sink, hit, times=3)
        latch.release()
        await client.until_status(turns)

    after = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS, name="after")]
    await client.until_status(after)
    assert len(hit) >= len(turns) // 4
    assert took_s < GOES_ON_WITHIN_S
    await client.judge(disruptions=1, repeatable=hit)


def readiness(worker: Managed) -> tuple[int, dict[str, object]]:
    """Status and body of /readyz; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(worker.ready_url, timeout=5) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


async def test_a_worker_is_ready_only_when_it_owns_what_it_should_and_says_what_it_waits_for(idle_fleet: Fleet) -> None:
    worker = idle_fleet.begin_worker()
    seen: list[tuple[int, dict[str, object]]] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1][0] != 200:
            seen.append(await asyncio.to_thread(readiness, worker))

    assert seen[-1][1]["partitions"] == list(range(PARTITIONS))
    waited_for = [str(body["waits_for"]) for status, body in seen if status == 503]
    assert any(words.startswith("a place in the log's group") for words in waited_for)
    assert waited_for[-1].startswith(("a place in the log's group", "its partitions 0-7", "a first look"))

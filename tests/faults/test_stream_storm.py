"""One client a turn, two gateways, and nothing that lives for long (--watch-turns, --watch-seconds, --storm-seeds)."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from argosy import AsyncClient
from tests.checker.followed import Followed, Message, breaches
from tests.checker.seen import History
from tests.checker.sink import Sink
from tests.faults import followed_workflows
from tests.faults.following import Listener, follow, http_of, read
from tests.faults.stream_storm import SETTINGS, GatewayStorm, WorkerStorm
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.leftovers import told_by_postgres, until_nothing_is_left
from tests.harness.processes import free_port

SECRET = followed_workflows.SECRET
FRAMES_PER_S = 20
SPEAKING_STEPS = 3
WORKERS = 3
PARAMETERS = {**SETTINGS, "ARGOSY_WORKFLOWS": str(Path(followed_workflows.__file__))}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first, count = metafunc.config.getoption("--storm-first-seed"), metafunc.config.getoption("--storm-seeds")
    metafunc.parametrize("seed", range(first, first + count))


@pytest.fixture
def turns(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--watch-turns"))


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--watch-seconds"))


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [16])
@pytest.mark.parametrize("settings", [PARAMETERS])
@pytest.mark.scenario(
    "WATCH STORM, seed", "each client: events 1..n once, text as recorded, each attempt and retry announced"
)
async def test_every_client_is_told_everything_while_gateways_and_workers_come_and_go(
    seed: int, turns: int, seconds: float, idle_fleet: Fleet, sink: Sink
) -> None:
    port = free_port()
    gateways = {str(each): idle_fleet.begin_gateway(PORT=str(each)) for each in (idle_fleet.port, port)}
    workers = idle_fleet.workers(WORKERS)
    for each in gateways.values():
        await asyncio.to_thread(each.wait_ready)
    urls = [idle_fleet.url, f"http://127.0.0.1:{port}"]
    client = Client(urls[0], sink, urls[1], is_retrying=True)

    is_over = asyncio.Event()
    worker_storm = WorkerStorm(idle_fleet, "worker", workers, seed, every_s=(2.0, 5.0))
    gateway_storm = GatewayStorm(idle_fleet, gateways, seed, every_s=(2.0, 5.0))
    raging = asyncio.gather(worker_storm.rage(is_over), gateway_storm.rage(is_over))
    words = int(seconds * FRAMES_PER_S / SPEAKING_STEPS)
    try:
        async with AsyncClient(*urls, retry_s=60) as ours, http_of() as http, asyncio.timeout(4 * seconds + 90):
            followed = await asyncio.gather(
                *(_watch(client, ours if each % 2 else None, http, urls, each, words, seed) for each in range(turns))
            )
    except TimeoutError:
        print(await told_by_postgres(idle_fleet))
        raise
    finally:
        is_over.set()
        await raging

    struck = worker_storm.struck + gateway_storm.struck
    told = Counter(message.type for each in followed for message in each.messages)
    print(f"seed {seed} struck {len(struck)} times: {dict(Counter(struck))}; clients were told {dict(told)}")
    disruptions = sum(not each.endswith("restart") for each in worker_storm.struck)
    history = await client.history(disruptions, stopped=worker_storm.stopped_pids)
    found = [line for each in followed for line in breaches(each, history.reads[each.turn_id], [SECRET])]
    assert not found, f"{len(found)} broken promises:\n" + "\n".join(found[:40]) + _told(followed, history, found)
    await client.judge(disruptions, stopped=worker_storm.stopped_pids)
    await _results_are_what_was_said(client, followed)
    await until_nothing_is_left(idle_fleet)
    await client.close()
    assert len(struck) >= seconds / 4


async def _watch(
    client: Client,
    ours: AsyncClient | None,
    http: httpx2.AsyncClient,
    urls: list[str],
    number: int,
    words: int,
    seed: int,
) -> Followed:
    """One turn, followed to its end; the signal goes out when it is told that the turn waits for it."""
    turn_id = await client.post(f"session-{number}", "talks", effects=SPEAKING_STEPS + 1, words=words)
    sent: list[asyncio.Task[int]] = []
    listener = _signaller(client, turn_id, f"word-{number}", sent)
    if ours is not None:
        followed = await follow(ours, turn_id, listener)
    else:
        followed = await read(http, urls, turn_id, seed, listener)
    for each in sent:
        assert await each in (200, 202)
    return followed


def _signaller(client: Client, turn_id: str, word: str, sent: list[asyncio.Task[int]]) -> Listener:
    def listener(message: Message) -> None:
        if message.type == "wait.started" and message.data.get("kind") == "signal" and not sent:
            sent.append(asyncio.create_task(client.signal(turn_id, "go", word)))

    return listener


async def _results_are_what_was_said(client: Client, followed: list[Followed]) -> None:
    """The text of each channel is the turn's result, too."""
    for each in followed:
        turn = await client.turn(each.turn_id)
        completed = [message for message in each.messages if message.type == "step.completed"]
        said = [message.data["channels"]["answer"]["text"] for message in completed if "channels" in message.data]
        own = each.messages[-1].data["channels"]["log"]["text"]
        assert (turn["status"], turn["result"]) == ("completed", {"texts": said, "log": own})


def _told(followed: list[Followed], history: History, found: list[str]) -> str:
    """What the first client that was told wrong was told, and what was recorded."""
    first = next(each for each in followed if any(each.turn_id in line for line in found))
    lines = [f"\nrecorded of {first.turn_id}:"]
    events = history.reads[first.turn_id].events
    lines += [f"  {e.seq} attempt {e.attempt} {e.type} {e.key} {str(e.data)[-60:]}" for e in events]
    lines.append("told, frames shortened:")
    shown = [message for message in first.messages if message.type != "frame"]
    lines += [f"  {h.connection}: {h.seq} attempt {h.attempt} {h.type} {h.key} {str(h.data)[-60:]}" for h in shown]
    return "\n".join(lines)

"""Uploads under kill -9: graphs have every line once, and rejects are listed once, whatever is killed when."""

import asyncio
import json
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import psutil
import pytest

from argosy.ingest.job import JobState
from tests.harness.fleet import Fleet
from tests.harness.processes import ROOT, Managed
from tests.harness.sharded import SECRET, SILENT_SOON, until_stopped
from tests.ingest.hand import TENANT, GatewayHand, nodes
from tests.shards.processes import ShardProcess

pytestmark = pytest.mark.slow

GRAPHS = [f"g{number}" for number in range(4)]
LINES, BAD = 2_000, 7
STORM_LINES = 50_000  # of each of four jobs, in each round
ROUNDS_MAX = 10
VICTIMS = ("gateway", "shard", "ingest-worker")
WITHIN_S = 300.0
POSITIONS = "SELECT partition, position FROM argosy.positions WHERE lane = '*ingest' ORDER BY partition"
ENDPOINT = "SELECT endpoint FROM argosy.shards WHERE member_id = $1"


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "1",
        "ALLOW_TENANT_HEADER": "true",
        **SILENT_SOON,
    }


@pytest.fixture
async def hand(idle_fleet: Fleet) -> AsyncIterator[GatewayHand]:
    async with GatewayHand.of(idle_fleet) as hand:
        yield hand


def lines_of(count: int) -> list[bytes]:
    """So many nodes, and BAD lines that are refused, spread among them."""
    lines = nodes(count)
    for number in range(BAD):
        lines.insert(number * count // BAD, b'{"op": "nothing", "n": %d}' % number)
    return lines


async def all_is_there_once(hand: GatewayHand, jobs: dict[str, uuid.UUID], lines: list[bytes]) -> None:
    bad = [number for number, line in enumerate(lines, 1) if b"nothing" in line]
    for graph, job_id in jobs.items():
        row = await hand.jobs.find(job_id, TENANT)
        assert row is not None
        row = await hand.until_ended(row, WITHIN_S)
        assert (row.state, row.applied, row.rejected) == (JobState.DONE, len(lines) - BAD, BAD), row
        assert await hand.numbers(graph) == list(range(len(lines) - BAD))
        assert await hand.rejected_lines(row) == bad


@pytest.mark.parametrize(
    "crash_at",
    ["ingest_polled:2", "ingest_sent:3", "ingest_applied", "ingest_applied:9", "ingest_noted", "ingest_noted:3"],
)
async def test_a_worker_killed_anywhere_leaves_every_line_applied_once(
    crash_at: str, idle_fleet: Fleet, hand: GatewayHand
) -> None:
    lines = lines_of(LINES)
    doomed = await asyncio.to_thread(lambda: idle_fleet.begin_ingest_worker(crash_at=crash_at))
    jobs = {graph: (await hand.upload(graph, lines)).job_id for graph in GRAPHS}

    assert await asyncio.to_thread(doomed.wait_dead, 60) == -9
    await asyncio.to_thread(idle_fleet.ingest_worker)

    await all_is_there_once(hand, jobs, lines)


@pytest.mark.parametrize("stop_at", ["ingest_sent", "ingest_applied", "ingest_noted"])
async def test_a_worker_that_wakes_up_late_applies_and_notes_nothing_twice(
    stop_at: str, idle_fleet: Fleet, hand: GatewayHand
) -> None:
    path = f"{Path(__file__).with_name('stopping')}:{ROOT}"
    lines = lines_of(LINES)
    zombie = await asyncio.to_thread(lambda: idle_fleet.begin_ingest_worker(INGEST_STOP_AT=stop_at, PYTHONPATH=path))
    jobs = {graph: (await hand.upload(graph, lines)).job_id for graph in GRAPHS}
    await until_stopped(zombie)

    await asyncio.to_thread(idle_fleet.ingest_worker)
    await all_is_there_once(hand, jobs, lines)
    positions = await hand.pool.fetch(
        "SELECT partition, position FROM argosy.positions WHERE lane = '*ingest' ORDER BY 1"
    )
    psutil.Process(zombie.pid).resume()
    await asyncio.to_thread(zombie.wait_ready)
    again = {graph: (await hand.upload(graph, nodes(50, first=LINES))).job_id for graph in GRAPHS}

    for graph, job_id in again.items():
        row = await hand.jobs.find(job_id, TENANT)
        assert row is not None
        assert (await hand.until_ended(row, WITHIN_S)).applied == 50
        assert await hand.numbers(graph) == list(range(LINES + 50))
    now = await hand.pool.fetch(POSITIONS)
    assert all(new[1] >= old[1] for old, new in zip(positions, now, strict=True))


@pytest.mark.parametrize("crash_at", ["feed_committed", "feed_committed:7"])
async def test_a_shard_killed_before_it_answers_has_every_line_once(
    crash_at: str, idle_fleet: Fleet, shard: ShardProcess, hand: GatewayHand
) -> None:
    lines = lines_of(LINES)
    jobs = {graph: (await hand.upload(graph, lines)).job_id for graph in GRAPHS}
    await asyncio.to_thread(shard.process.terminate)
    doomed = await asyncio.to_thread(lambda: shard.start(ARGOSY_CRASH_AT=crash_at))

    await asyncio.to_thread(idle_fleet.ingest_worker)
    assert await asyncio.to_thread(doomed.wait_dead, 60) == -9
    await asyncio.to_thread(shard.start)

    await all_is_there_once(hand, jobs, lines)


async def test_while_a_shard_is_down_its_graphs_wait_and_others_go_on(
    idle_fleet: Fleet, shard: ShardProcess, tmp_path: Path
) -> None:
    second = ShardProcess(tmp_path / "second", GRAPH_SERVICE_AUTH_SECRET=SECRET)
    second.start()
    idle_fleet.environment["GRAPH_SERVICE_ENDPOINTS"] += f",{second.endpoint}"
    try:
        async with GatewayHand.of(idle_fleet) as hand:
            names = [f"graph-{number}" for number in range(12)]
            rows = {name: await hand.graphs.create(TENANT, name) for name in names}
            down = {name for name, row in rows.items() if row.shard == rows[names[0]].shard}
            assert 0 < len(down) < len(names)
            endpoint = await hand.pool.fetchval(ENDPOINT, rows[names[0]].shard)
            doomed = shard if endpoint == shard.endpoint else second
            doomed.process.kill()
            lines = lines_of(LINES)
            jobs = {name: await hand.upload(name, lines) for name in names}

            await asyncio.to_thread(idle_fleet.ingest_worker)
            for name in names:
                if name in down:
                    await hand.until(jobs[name], lambda row: row.waits_for == "shard", WITHIN_S)
            doomed.start()

            await all_is_there_once(hand, {name: job.job_id for name, job in jobs.items()}, lines)
    finally:
        second.bury()


async def test_an_upload_sent_again_after_its_lines_were_deleted_is_not_applied_again(
    idle_fleet: Fleet, hand: GatewayHand
) -> None:
    await asyncio.to_thread(idle_fleet.ingest_worker)
    lines = nodes(200)
    first = await hand.upload("g", lines, "one")
    await hand.until_ended(first)
    deletes = [json.dumps({"op": "delete_node", "id": f"n{number}"}).encode() for number in range(100)]
    await hand.until_ended(await hand.upload("g", deletes, "two"))

    # As a gateway would that has lost its database: the whole of it is in the log once more.
    await hand.append(first, *hand.records(first, lines), hand.end(first, lines))
    await hand.until_ended(await hand.upload("g", nodes(1, first=500), "three"))

    assert await hand.numbers("g") == [*range(100, 200), 500]


async def test_a_storm_of_kills_leaves_graphs_that_equal_their_uploads(
    idle_fleet: Fleet, shard: ShardProcess, hand: GatewayHand
) -> None:
    """Four uploads over REST, each sent again until it is taken, while gateway, workers and shard are killed."""
    lines = lines_of(STORM_LINES)
    rounds: list[dict[str, uuid.UUID]] = []
    killed: Counter[str] = Counter()
    over = asyncio.Event()
    await asyncio.to_thread(idle_fleet.gateway)
    for _ in range(2):
        await asyncio.to_thread(idle_fleet.ingest_worker)
    killing = asyncio.create_task(kill_all(idle_fleet, shard, over, killed))

    while not killed.keys() >= set(VICTIMS):  # each of them while there was something to do
        assert len(rounds) < ROUNDS_MAX, killed
        body, key = b"\n".join(lines), f"round-{len(rounds)}"
        started = await asyncio.gather(*(sent_until_taken(idle_fleet, graph, body, key) for graph in GRAPHS))
        rounds.append(dict(zip(GRAPHS, started, strict=True)))
        for job_id in started:
            row = await hand.jobs.find(job_id, TENANT)
            assert row is not None
            await hand.until(
                row, lambda row: row.state is not JobState.RUNNING or row.next_line > STORM_LINES // 2, WITHIN_S
            )
    over.set()
    await killing

    for jobs in rounds:
        await all_is_there_once(hand, jobs, lines)
    ended = Counter(each.name for each in idle_fleet.processes if each.process.poll() == -signal.SIGKILL)
    assert ended == {each: killed[each] for each in VICTIMS if each != "shard"}
    assert [each.process.poll() for each in shard.processes].count(-signal.SIGKILL) == killed["shard"]


async def sent_until_taken(fleet: Fleet, graph: str, body: bytes, key: str = "one") -> uuid.UUID:
    headers = {"content-type": "application/x-ndjson", "idempotency-key": key, "x-argosy-tenant": TENANT}
    until_s = time.monotonic() + WITHIN_S
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
        while True:
            assert time.monotonic() < until_s
            try:
                reply = await client.post(f"{fleet.url}/v1/graphs/{graph}/ingest", content=body, headers=headers)
            except httpx2.HTTPError:
                await asyncio.sleep(0.2)
                continue
            if reply.status_code in (200, 202):
                return uuid.UUID(reply.json()["job_id"])
            assert reply.status_code in (408, 429, 503, 504), reply.text
            await asyncio.sleep(0.2)


async def kill_all(fleet: Fleet, shard: ShardProcess, over: asyncio.Event, killed: Counter[str]) -> None:
    """Kill one after the other at random moments, each kind once first, and start another in its place. killed: how
    many of each kind were, so far.
    """
    chance, first = random.Random(7), list(VICTIMS)
    starts = {"gateway": fleet.gateway, "shard": shard.start, "ingest-worker": fleet.begin_ingest_worker}
    while not over.is_set():
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        victim = first.pop(0) if first else chance.choice([*VICTIMS, "ingest-worker"])
        living = [each for each in (*fleet.processes, shard.process) if each.name == victim and is_alive(each)]
        living[0].kill()
        killed[victim] += 1
        await asyncio.to_thread(starts[victim])


def is_alive(process: Managed) -> bool:
    try:
        return bool(psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

"""`argosy forget`, by real processes: what was forgotten is found nowhere, and nothing of it comes after."""

import asyncio
import json
import time
from pathlib import Path

import psutil
import pytest

from tests.crash.erasures import ERASING, MARKER, begin_maintain, forget, removed_of, run_turn, search, where_is
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.processes import ROOT
from tests.harness.sharded import SILENT_SOON, until_stopped
from tests.shards.processes import ShardProcess

STOPPING = f"{Path(__file__).with_name('stopping')}:{ROOT}"
LINE = '{"op": "upsert_node", "id": "%s", "label": "Said", "props": {"text": "%s"}}\n'

pytestmark = pytest.mark.parametrize("log_name", ["postgres"])


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{ERASING}",
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "1",
        "ALLOW_TENANT_HEADER": "true",
        **SILENT_SOON,
    }


async def begin_upload(client: Client, graph: str, text: str) -> str:
    """Two lines, of which the second is refused; the job."""
    body = LINE % (text, text) + f'{{"op": "{text}"}}\n'
    path = f"/v1/graphs/{graph}/ingest"
    reply = await client.request("POST", path, body, content_type="application/x-ndjson", idempotency_key=text)
    return str(reply.json()["job_id"])


async def upload(client: Client, graph: str, text: str) -> str:
    """The same, once it has ended."""
    job_id = await begin_upload(client, graph, text)
    until_s = time.monotonic() + 60
    while (await client.request("GET", f"/v1/ingest/{job_id}")).json()["status"] == "running":
        assert time.monotonic() < until_s
        await asyncio.sleep(0.05)
    return job_id


async def run(fleet: Fleet, kind: str, target: str) -> dict[tuple[str, str], int]:
    """Forget something; what the receipt says."""
    code, output = await asyncio.to_thread(forget, fleet, kind, target)
    assert code == 0, output
    return removed_of(output)


async def test_a_command_that_waits_says_that_nobody_does_it(fleet: Fleet) -> None:
    arguments = ("--again", "s", "--wait", "1", "--url", fleet.url)

    code, output = await asyncio.to_thread(fleet.run, "forget", "session", "s", *arguments)

    assert code == 1
    assert output.count("waits: no process leads the role erase: start `argosy maintain`") == 1


@pytest.mark.slow
async def test_a_command_that_waits_says_which_worker_has_to_run_and_since_when(
    idle_fleet: Fleet, client: Client
) -> None:
    fleet = idle_fleet
    fleet.environment["ERASURE_LATE_S"] = "1"
    await asyncio.to_thread(fleet.gateway)
    ingest = await asyncio.to_thread(fleet.ingest_worker)
    await upload(client, MARKER, MARKER)
    await asyncio.to_thread(ingest.terminate)
    maintain = begin_maintain(fleet)
    arguments = ("--again", MARKER, "--wait", "6", "--key", "k", "--url", fleet.url)

    code, output = await asyncio.to_thread(fleet.run, "forget", "graph", MARKER, *arguments)

    assert code == 1
    waits = (
        "waits: records that came before are still to be read: uploads, by an ingest worker (`argosy worker ingest`), "
    )
    said = [line for line in output.splitlines() if line.startswith(waits)]
    assert [" (since 20" in line for line in said] == [True] * len(said)
    assert "nobody has read there since" not in said[0]
    assert "nobody has read there since" in said[-1]
    assert "for longer than ERASURE_LATE_S (1 s)" in said[-1]
    assert maintain.metric("argosy_erasures_waiting") == 1
    assert maintain.metric("argosy_erasures_waiting_seconds") > 1
    log = maintain.tail(100_000)
    assert (log.count("erasure.waits"), log.count("erasure.late")) == (1, 1)

    await asyncio.to_thread(fleet.ingest_worker)
    code, output = await asyncio.to_thread(forget, fleet, "graph", MARKER, "--key", "k")
    assert code == 0, output
    until_s = time.monotonic() + 10
    while maintain.metric("argosy_erasures_waiting"):
        assert time.monotonic() < until_s
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_each_kind_is_forgotten_everywhere_and_nothing_else_is(
    fleet: Fleet, client: Client, shard: ShardProcess
) -> None:
    await asyncio.to_thread(fleet.worker)
    await asyncio.to_thread(fleet.ingest_worker)
    begin_maintain(fleet)
    turn, session, graph, kept = (f"{MARKER}-{each}" for each in ("turn", "session", "graph", "kept"))
    turn_id = await run_turn(client, "s", "uploads", turn, text=turn, graph="shared", is_waited_for=True)
    await run_turn(client, "s", "remembers", kept, text=kept)
    await run_turn(client, session, "remembers", session, text=session)
    own = await run_turn(client, session, "uploads", text=session, graph=None, is_waited_for=True)
    job_id = await upload(client, graph, graph)
    await upload(client, "shared", kept)
    for each in (turn, session, graph, kept):
        assert len(await where_is(fleet, shard, each)) > 2

    removed = await run(fleet, "turn", turn_id)
    assert (removed["graph shared", "nodes"], removed["postgres", "jobs"], removed["postgres", "turns"]) == (500, 1, 1)
    assert removed["postgres", "rejects"] == 1
    assert await where_is(fleet, shard, turn) == []
    assert await search(client, "shared", turn) == []
    assert (await client.request("GET", f"/v1/turns/{turn_id}")).status_code == 404

    removed = await run(fleet, "session", session)
    assert (removed["postgres", "turns"], removed["postgres", "jobs"], removed["shards", "graphs"]) == (2, 1, 1)
    assert await where_is(fleet, shard, session) == []
    assert (await client.request("GET", f"/v1/turns/{own}")).status_code == 404

    removed = await run(fleet, "graph", graph)
    assert (removed["shards", "graphs"], removed["postgres", "jobs"], removed["postgres", "rejects"]) == (1, 1, 1)
    assert await where_is(fleet, shard, graph) == []
    assert (await client.request("GET", f"/v1/ingest/{job_id}")).status_code == 404

    assert await search(client, "shared", kept) == [f"{MARKER}-kept", *(f"{kept} {number}" for number in range(3))]
    removed = await run(fleet, "tenant", "default")
    assert (removed["postgres", "sessions"], removed["postgres", "turns"]) == (1, 1)
    assert await where_is(fleet, shard, MARKER) == []
    assert (await client.request("GET", "/v1/graphs")).json()["graphs"] == []


LATER = [pytest.param(each, marks=pytest.mark.slow) for each in ("session", "graph", "tenant")]


@pytest.mark.parametrize("kind", ["turn", *LATER])
async def test_a_batch_of_an_upload_that_comes_late_brings_nothing_back(
    kind: str, idle_fleet: Fleet, client: Client, shard: ShardProcess
) -> None:
    fleet = idle_fleet
    await asyncio.to_thread(fleet.start, 1)
    zombie = await asyncio.to_thread(
        lambda: fleet.begin_ingest_worker(INGEST_STOP_AT="ingest_sent", PYTHONPATH=STOPPING)
    )
    session = MARKER if kind == "session" else "s"
    if kind == "graph":
        await begin_upload(client, "shared", MARKER)
    else:
        turn_id = await run_turn(client, session, "uploads", text=MARKER, graph="shared", is_waited_for=False)
    await until_stopped(zombie)
    begin_maintain(fleet)
    if kind in {"graph", "tenant"}:  # which wait until what was uploaded before has been read
        await asyncio.to_thread(fleet.ingest_worker)

    targets = {"session": MARKER, "graph": "shared", "tenant": "default"}
    await run(fleet, kind, turn_id if kind == "turn" else targets[kind])
    assert await where_is(fleet, shard, MARKER) == []
    psutil.Process(zombie.pid).resume()
    await asyncio.to_thread(zombie.wait_ready)
    if kind in {"turn", "session"}:
        await upload(client, "shared", "later")  # behind what the late worker has of the graph
    await asyncio.to_thread(zombie.terminate)

    assert await where_is(fleet, shard, MARKER) == []
    graphs = json.loads((await client.request("GET", "/v1/graphs")).text)["graphs"]
    assert [each["graph"] for each in graphs] == (["shared"] if kind in {"turn", "session"} else [])

"""A session that was forgotten stands neither in Postgres nor in the files of a shard, whoever was killed meanwhile."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.crash.erasures import ERASING, MARKER, begin_maintain, files_with, run_turn, search, where_is
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.shards.processes import ShardProcess


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{ERASING}",
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
    }


async def until_done(client: Client, erasure_id: str) -> dict[str, Any]:
    until_s = time.monotonic() + 60
    while (found := (await client.request("GET", f"/v1/erasures/{erasure_id}")).json())["status"] != "done":
        assert time.monotonic() < until_s, found
        await asyncio.sleep(0.1)
    return dict(found)


async def erased(fleet: Fleet, shard: ShardProcess, crash_at: str = "") -> dict[str, Any]:
    """The erasure of a session of four turns, once it is done; at a crash point its leader is killed. What the last one
    uploads nobody applies.
    """
    client = Client(fleet.url, None)  # type: ignore[arg-type]
    turns = [await run_turn(client, MARKER, "remembers", text=MARKER) for _ in range(3)]
    turns.append(await run_turn(client, MARKER, "uploads", text=MARKER, graph="shared", is_waited_for=False))
    kept = await run_turn(client, "kept", "remembers", text="kept")
    assert len(await search(client, "shared", MARKER)) == 3
    assert files_with(shard, MARKER)
    asked = {"kind": "session", "target": MARKER, "confirm": MARKER}
    reply = await client.request("POST", "/v1/erasures", json.dumps(asked), content_type="application/json")

    leader = begin_maintain(fleet, crash_at)
    if crash_at:
        assert await asyncio.to_thread(leader.wait_dead, 60) == -9
        begin_maintain(fleet)
    done = await until_done(client, reply.json()["erasure_id"])

    assert [(await client.request("GET", f"/v1/turns/{each}")).status_code for each in turns] == [404] * 4
    assert (await client.request("GET", f"/v1/sessions/{MARKER}")).status_code == 404
    assert (await client.request("GET", f"/v1/turns/{kept}")).json()["result"] == "kept"
    assert await search(client, "shared", MARKER) == []
    assert await search(client, "shared", "kept") == ["kept 0", "kept 1", "kept 2"]
    assert await where_is(fleet, shard, MARKER) == []
    await run_turn(client, MARKER, "remembers", text="later")  # the name is free
    await client.close()
    return done


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_a_session_that_was_forgotten_stands_nowhere(fleet: Fleet, shard: ShardProcess) -> None:
    await asyncio.to_thread(fleet.worker)

    done = await erased(fleet, shard)

    removed = {(each["where"], each["what"]): each["removed"] for each in done["receipt"]}
    assert (done["target"], done["waits_for"]) == (None, "")
    assert [removed["postgres", each] for each in ("turns", "sessions", "jobs")] == [4, 1, 1]
    assert removed["postgres log", "records"] == 6  # two of them of the upload
    assert (removed["graph shared", "nodes"], removed["shards", "graphs"]) == (3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("log_name", ["postgres", "kafka"])
@pytest.mark.parametrize(
    "point", ["erase_forgot", "erase_unfed", "erase_scrubbed", *(f"erase_stepped:{number}" for number in range(1, 8))]
)
async def test_whoever_is_killed_in_whatever_stage_nothing_of_it_is_left(
    point: str, fleet: Fleet, shard: ShardProcess, log_name: str
) -> None:
    await asyncio.to_thread(fleet.worker)

    done = await erased(fleet, shard, crash_at=point)

    left = {each["where"] for each in done["receipt"] if each["until"]}
    assert bool(left) == (log_name == "kafka")

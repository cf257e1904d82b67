"""`argosy up` and `argosy.Argosy` bring a shard: graphs work without a setting, and outlive its process."""

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from argosy import Argosy
from argosy.local.demonstration import read_turns
from tests.crash.graphing import counts, writes
from tests.docs.page import blocks
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.processes import ROOT, Managed

TICKETS = ROOT / "examples" / "support_tickets.jsonl"
REFUND = "T-58236, 8 days earlier: 'Re: Charged twice for order 77-3120' → hold for a human"
SPEAKER = "The House of Representatives shall chuse their Speaker and other Officers"
PARCEL = "T-58211, 8 days earlier: 'Paket seit einer Woche nicht angekommen' → kb-202 sent"


@pytest.fixture
def log_name() -> str:
    return "postgres"


@pytest.fixture
def idle_fleet(folder: Path, make_cluster: Callable[[Path], None]) -> Iterator[Fleet]:
    """Without a database and a shard of its own: `up` brings both."""
    make_cluster(folder / "data")
    workflows = f"{WORKFLOWS},{Path(__file__).with_name('graphing.py')}"
    fleet = Fleet(folder, "", "", AGENT_DISPATCH_BACKEND="inline", ARGOSY_WORKFLOWS=workflows)
    try:
        yield fleet
    finally:
        print(fleet.logs())
        fleet.stop()


def shards_of(up: Managed) -> list[psutil.Process]:
    return [each for each in up.family() if {"shard", "--socket"} <= set(each.cmdline())]


async def result(client: Client, turn: str) -> Any:
    found = (await client.until_status([turn], within_s=60))[turn]
    return found["result"] or found["error"]


async def test_what_a_turn_writes_is_recalled_over_rest_also_after_its_shard_was_killed(
    idle_fleet: Fleet, client: Client
) -> None:
    up = await asyncio.to_thread(idle_fleet.up)
    written = await client.post("session", "writes", batches=2)
    assert await result(client, written) == [1, 2]
    await until_recalled(client, written)

    (shard,) = shards_of(up)
    shard.kill()
    await asyncio.to_thread(up.wait_said, "the shard ended (exit code -9): started again in 0.5 s")
    await until_recalled(client, written)
    later = await client.post("session", "writes", batches=1)
    counted = await client.post("session", "counts")

    assert await result(client, later) == [3]
    assert await result(client, counted) == [3, 3]
    assert [each.pid for each in shards_of(up)] != [shard.pid]

    assert await asyncio.to_thread(up.terminate) in (0, -15)
    assert up.family() == []


@pytest.mark.slow
async def test_a_data_folder_goes_from_a_program_to_up_with_its_graphs(idle_fleet: Fleet, client: Client) -> None:
    async with Argosy(workflows=[writes, counts], data_dir=idle_fleet.folder / "data") as here:
        assert await here.run(writes, {"batches": 2}, session="session", timeout_s=30) == [1, 2]
        assert await here.run(counts, {}, session="session", timeout_s=30) == [2, 2]

    await asyncio.to_thread(idle_fleet.up)
    counted = await client.post("session", "counts")

    assert await result(client, counted) == [2, 2]


@pytest.mark.slow
async def test_where_other_shards_have_the_graphs_uploads_are_applied_all_the_same(idle_fleet: Fleet) -> None:
    up = await asyncio.to_thread(idle_fleet.up)
    await asyncio.to_thread(up.terminate)
    (idle_fleet.folder / "data" / "shard").rename(idle_fleet.folder / "another")

    up = await asyncio.to_thread(idle_fleet.up)

    assert "no shard is started for it" in " ".join(up.log.read_text(encoding="utf-8").split())
    assert shards_of(up) == []
    assert [each for each in up.family() if {"worker", "ingest"} <= set(each.cmdline())] != []


@pytest.mark.slow
async def test_the_second_conversation_of_the_demonstration_shows_what_the_first_taught_before_the_shard_was_killed(
    idle_fleet: Fleet, client: Client
) -> None:
    up = await asyncio.to_thread(idle_fleet.up, "--demo", str(TICKETS))
    await asyncio.to_thread(up.wait_said, "serving; Ctrl-C ends it")
    said = up.log.read_text(encoding="utf-8").splitlines()
    assert "posted 4 turns of support_tickets.jsonl to 2 sessions" in said
    assert [line.split("remembered ")[1] for line in said if " remembered " in line][1:] == [REFUND, PARCEL]
    assert "ingested constitution.txt (45441 characters) into graph library" in said
    assert any(SPEAKER in line for line in said)
    (shown,) = [block.text for block in blocks(ROOT / "README.md") if "remembered" in block.text]
    assert [line for line in shown.splitlines() if line not in said] == ["…"]
    learned = await summary(client)
    assert {"Customer 2", "Ticket 6"} <= set(re.findall(r"[A-Z]\w+ \d+", learned))

    first, second, _ = read_turns(TICKETS)
    await triaged(client, first)
    shards_of(up)[0].kill()
    refund, parcel = await triaged(client, second)

    assert (refund["remembered"], refund["next_action"]) == (REFUND, "add to T-58236")
    assert (parcel["remembered"], parcel["next_action"]) == (PARCEL, "pass to a human")
    assert await summary(client) == learned  # the same tickets again are no more tickets


@pytest.mark.slow
async def test_a_demonstration_without_the_extra_for_graphs_says_so_in_one_line_and_runs_on(idle_fleet: Fleet) -> None:
    shutil.rmtree(idle_fleet.folder / "data")  # a first start, which applies the migrations of graphs all the same
    (idle_fleet.folder / "sitecustomize.py").write_text('import sys\nsys.modules["kglite"] = None\n')
    idle_fleet.environment["PYTHONPATH"] += f":{idle_fleet.folder}"

    code, output = await asyncio.to_thread(idle_fleet.run, "up", "--demo", str(TICKETS), "--once", "--port", "0")

    assert code == 0, output
    said = [line for line in output.splitlines() if "graph" in line.replace("/v1/graphs", "")]
    assert [line for line in said if not line.startswith("applied migration ")] == [
        "nothing is remembered: that needs a shard (pip install 'argosy[graph]')"
    ]
    assert "applied migration 0033_graphs" in said
    assert output.count(" completed: ") == 6


async def triaged(client: Client, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of turns that are posted together."""
    posted = await client.batch([(turn["session"], turn) for turn in turns])
    ended = await client.until_status(posted, within_s=60)
    return [ended[turn_id]["result"] for turn_id in posted]


async def summary(client: Client) -> str:
    """What kinds of facts the demonstration's graph has, and how many."""
    return str((await client.get("/v1/graphs/support/summary")).json()["text"])


async def until_recalled(client: Client, turn: str) -> None:
    """Returns when the only graph recalls what the turn wrote first."""
    async with asyncio.timeout(30):
        while f"Batch {turn}-0" not in await recalled(client, turn):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.05)


async def recalled(client: Client, text: str) -> str:
    """What is recalled for a text from the only graph; while its shard is away, the problem."""
    (graph,) = (await client.get("/v1/graphs")).json()["graphs"]
    path = f"/v1/graphs/{quote(graph['graph'], safe='')}/recall"
    answer = await client.request("POST", path, json.dumps({"text": text}), content_type="application/json")
    assert answer.status_code in (200, 503, 504), answer.text
    return answer.text

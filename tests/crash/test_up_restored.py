"""An installation of `argosy up`, backed up while it works, and restored to a data folder of its own."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.lineage import lineage_of
from tests.crash import restoring
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet

GRAPHING = Path(__file__).with_name("graphing.py")

pytestmark = pytest.mark.slow


@pytest.fixture
def log_name() -> str:
    return "postgres"


@pytest.fixture
def idle_fleet(folder: Path) -> Iterator[Fleet]:
    """Without a database and a shard of its own: `up` brings both."""
    workflows = f"{WORKFLOWS},{GRAPHING}"
    fleet = Fleet(folder, "", "", AGENT_DISPATCH_BACKEND="inline", ARGOSY_WORKFLOWS=workflows)
    try:
        yield fleet
    finally:
        print(fleet.logs())
        fleet.stop()


async def run(fleet: Fleet, *arguments: str) -> tuple[int, str]:
    """A command to its end; none ends with a traceback."""
    code, output = await asyncio.to_thread(restoring.run, fleet, *arguments)
    assert "Traceback" not in output
    return code, output


async def result(client: Client, turn: str) -> Any:
    return (await client.until_status([turn], within_s=60))[turn]["result"]


async def lineages(client: Client, path: str, rows: str, field: str) -> set[int | None]:
    """Under which lineages the numbers of a view of the fleet were given, which are text there; None: there is none."""
    shown = json.loads((await client.get(path)).text)[rows]
    assert all(isinstance(each[field], str | None) for each in shown)
    return {None if each[field] is None else lineage_of(int(each[field])) for each in shown}


async def until_led_anew(client: Client, before: int) -> None:
    """Until each role has a leader, and each partition an owner, of the lineage that the restore has made."""
    async with asyncio.timeout(30):
        while True:
            terms = await lineages(client, "/v1/fleet/leaders", "leaders", "term")
            epochs = await lineages(client, "/v1/fleet/partitions", "partitions", "epoch")
            [lineage, *others] = terms | epochs
            if lineage is not None and lineage > before and not others and terms == epochs:
                return
            await asyncio.sleep(0.1)


async def until_nobody_knows(client: Client, turn: str) -> None:
    """Of a turn that was accepted after the backup; it could come as long as the log is not read up to then."""
    async with asyncio.timeout(30):
        while (status := (await client.request("GET", f"/v1/turns/{turn}")).status_code) == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert status == 404


@pytest.mark.scenario("installation of argosy up restored", "turns and graphs are there as they were, and go on")
async def test_up_goes_on_with_turns_and_graphs_in_a_new_folder(idle_fleet: Fleet, client: Client) -> None:
    fleet, backup, new = idle_fleet, idle_fleet.folder / "backup", idle_fleet.folder / "restored"
    up = await asyncio.to_thread(fleet.up)
    written = await client.post("session", "writes", batches=2)
    assert await result(client, written) == [1, 2]
    waiting = await client.post("waiting", "waits", effects=2)
    await client.until_status([waiting], {"suspended"})
    code, output = await run(fleet, "backup", str(backup))
    assert code == 0, output
    lost = await client.post("session", "writes", batches=1)
    assert await result(client, lost) == [3]
    assert await asyncio.to_thread(up.terminate) in (0, -15)

    fleet.environment["ARGOSY_DATA_DIR"] = str(new)
    manifest = backup / "manifest.json"
    shutil.copy(manifest, fleet.folder / "kept")
    manifest.write_bytes(manifest.read_bytes().replace(b'"size_bytes": ', b'"size_bytes": 1', 1))
    code, output = await run(fleet, "restore", str(backup), "--yes")
    assert code == 1
    assert f"{manifest} is not what was written: its checksum is another one. Nothing was restored" in output
    assert not new.exists()
    shutil.copy(fleet.folder / "kept", manifest)
    code, output = await run(fleet, "restore", str(backup), "--yes")
    assert code == 0, output
    receipt, _ = json.JSONDecoder().raw_decode(output[output.index("{") :])
    assert (receipt["graphs"], receipt["lost_keys"]) == (1, {})
    await asyncio.to_thread(fleet.up)

    assert (await client.turn(written))["result"] == [1, 2]
    await until_nobody_knows(client, lost)  # the log went back with the database
    assert (await client.turn(waiting))["status"] == "suspended"
    await client.signal(waiting, "go", None)
    await client.until_status([waiting])
    assert await result(client, await client.post("session", "counts")) == [2, 2]
    assert await result(client, await client.post("session", "writes", batches=1)) == [3]
    assert await result(client, await client.post("session", "counts")) == [3, 3]
    await until_led_anew(client, json.loads(manifest.read_bytes())["lineage"])
    code, output = await run(fleet, "restore", str(backup), "--yes")
    assert code == 1, output
    assert "stop it first" in output

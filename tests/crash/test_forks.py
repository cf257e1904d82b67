"""User code makes processes of its own: none of them takes the worker along, or holds up what follows its death."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS, KAFKA_FIRST

_WORKFLOWS = {"ARGOSY_WORKFLOWS": str(Path(__file__).with_name("forking.py"))}
# A death that shows by silence alone would be noticed after the longer of the two.
_SLOW_TO_MISS = {"HEARTBEAT_TTL_S": "20"}

_RESULTS: dict[str, Any] = {
    "pools": [1, 2, 3],
    "executors": [1, 2, 3],
    "spawns": [1, 1],
    "runs_a_program": 0,
    "child_returns": 0,
    "child_returns_on_the_loop": 0,
    "child_exits": 3,
    "child_awaits": 1,
}


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Path]:
    """Where a child that lives on writes down itself; it is ended with the test."""
    yield tmp_path / "child"
    if (tmp_path / "child").exists():
        os.kill(_written(tmp_path / "child")["pid"], signal.SIGKILL)


@KAFKA_FIRST
@pytest.mark.parametrize("settings", [_WORKFLOWS | _SLOW_TO_MISS])
async def test_turns_of_a_killed_worker_go_on_although_a_forked_child_of_it_lives_on(
    idle_fleet: Fleet, client: Client, tmp_path: Path, child: Path
) -> None:
    (worker,) = idle_fleet.start(1)
    turn_id = await client.post("one", "left", folder=str(tmp_path))
    await _until_there(child)
    idle_fleet.worker()

    worker.kill()
    killed_at_s = time.monotonic()
    ended = await client.until_status([turn_id])

    assert time.monotonic() - killed_at_s < 5
    assert ended[turn_id]["result"] == 2
    assert _lives(_written(child)["pid"])


@KAFKA_FIRST
@pytest.mark.parametrize("settings", [_WORKFLOWS])
async def test_a_forked_child_has_the_sockets_of_the_user_and_none_of_the_worker(
    idle_fleet: Fleet, client: Client, tmp_path: Path, child: Path
) -> None:
    idle_fleet.start(1)

    turn_id = await client.post("one", "left", folder=str(tmp_path))
    await _until_there(child)

    seen = _written(child)
    assert seen["sockets"] == [[seen["users"]]]
    await client.post_to(f"/v1/turns/{turn_id}/cancel")
    await client.until_status([turn_id])


@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_WORKFLOWS])
async def test_steps_that_make_processes_come_to_their_results_and_the_worker_goes_on(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    (worker,) = idle_fleet.start(1)

    turns = {await client.post(f"{step}-{n}", "works", folder=str(tmp_path), step=step): step
             for n in range(3) for step in _RESULTS}  # fmt: skip

    ended = await client.until_status(turns, within_s=90)
    seen = [(turns[turn_id], turn["status"], turn["result"], turn["attempt"]) for turn_id, turn in ended.items()]
    assert sorted(seen, key=str) == sorted([(step, "completed", _RESULTS[step], 1) for step in turns.values()], key=str)
    assert _names(tmp_path) == {"fleet"}
    assert worker.process.poll() is None
    assert worker.metric("argosy_flushes_repeated_total") == 0
    assert "draining" not in worker.tail(50_000)
    assert await asyncio.to_thread(worker.terminate) == 0


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()


async def _until_there(path: Path) -> None:
    def look() -> None:
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline, f"{path} does not appear"
            time.sleep(0.02)

    await asyncio.to_thread(look)


def _names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def _written(path: Path) -> Any:
    return json.loads(path.read_text())

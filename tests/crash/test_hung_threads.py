"""Threads of user code that never come back: nobody else waits for them, and the process ends all the same."""

import asyncio
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS

_WORKFLOWS = {"ARGOSY_WORKFLOWS": str(Path(__file__).with_name("hanging.py")), "HEARTBEAT_INTERVAL_S": "0.2"}
_FEW_THREADS = {"DISPATCH_THREADS": "2", "DISPATCH_THREADS_ABANDONED_MAX": "4"}


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_WORKFLOWS | _FEW_THREADS])
async def test_threads_that_hang_are_replaced_and_beyond_the_bound_that_is_said(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    (worker,) = idle_fleet.start(1)

    hung = [await client.post(f"hung-{n}", "times_out") for n in range(5)]
    failed = await client.until_status(hung)
    well = await client.post("well", "well")
    done = await client.until_status([well])

    assert {turn["error"]["type"] for turn in failed.values()} == {"StepTimeoutError"}
    assert done[well]["result"] == 7
    assert worker.metric("argosy_threads_abandoned") == 5

    await client.until_status([await client.post("hung-6", "times_out")])
    stuck = await client.post("stuck", "well")
    explained = await _explained(client, stuck, "waiting_for_thread")

    assert explained["details"]["threads_abandoned"] == 6
    assert "thread.abandoned" in worker.tail(50_000)
    assert "a thread for synchronous steps" in await asyncio.to_thread(_not_ready, worker.ready_url)
    await client.post_to(f"/v1/turns/{stuck}/cancel")
    await client.until_status([stuck])


@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_WORKFLOWS | {"DRAIN_TIMEOUT_S": "1", "CANCEL_CLEANUP_S": "1"}])
async def test_a_worker_ends_in_order_whatever_threads_of_user_code_do(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    (worker,) = idle_fleet.start(1)
    turns = [await client.post(name, name, folder=str(tmp_path)) for name in ("in_step", "in_workflow", "elsewhere")]
    await asyncio.to_thread(_until_there, tmp_path, {"step", "workflow", "thread", "to_thread"})
    for turn_id in turns:
        await client.post_to(f"/v1/turns/{turn_id}/cancel")
    await client.until_status(turns)

    told_at_s = time.monotonic()
    code = await asyncio.to_thread(worker.terminate)

    assert code == 0
    assert time.monotonic() - told_at_s < 10
    assert "worker.stopped" in worker.tail(50_000)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_WORKFLOWS | {"DRAIN_TIMEOUT_S": "1"}])
async def test_a_lone_worker_waits_for_its_steps_as_long_as_it_was_told_and_they_run_again_at_the_next(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    (worker,) = idle_fleet.start(1)
    turn_id = await client.post("in_step", "in_step", folder=str(tmp_path))
    await asyncio.to_thread(_until_there, tmp_path, {"step"})

    told_at_s = time.monotonic()
    code = await asyncio.to_thread(worker.terminate)
    took_s = time.monotonic() - told_at_s

    assert code == 0
    assert 1 <= took_s < 1 + 3 + 3  # DRAIN_TIMEOUT_S, the 3 s of threads and exit handlers, and what else an end takes
    assert "handover.late" in worker.tail(50_000)

    (tmp_path / "step").unlink()
    idle_fleet.worker()
    await asyncio.to_thread(_until_there, tmp_path, {"step"})

    await client.post_to(f"/v1/turns/{turn_id}/cancel")
    await client.until_status([turn_id])


async def _explained(client: Client, turn_id: str, code: str) -> Any:
    """Why a turn does not go on, once it is for this."""
    for _ in range(200):
        found = (await client.get(f"/v1/turns/{turn_id}/explain")).json()
        if found["code"] == code:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"not {code}: {found}")


def _not_ready(url: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=5)  # noqa: S310
    return refused.value.read().decode()


def _until_there(folder: Path, names: set[str]) -> None:
    deadline = time.monotonic() + 20
    while not names <= {each.name for each in folder.iterdir()}:
        assert time.monotonic() < deadline, "not all have begun"
        time.sleep(0.02)

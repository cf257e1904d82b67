"""kill -9 of one of three workers while about 50 steps run in it.

Measures when each of these steps runs again on another worker, and when turns end that were posted to the dead worker's
sessions after its death.
"""

import asyncio
import json
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from bench.bed import Bed, bed
from bench.latency import p50_p99_ms
from bench.load import RefusedError
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services
from tests.harness.processes import Managed

WORKERS = 3
STEPS = 150
PARTITIONS = 12
SESSION_TIMEOUT_S = 2.0
_RUNNING_S = 0.5  # for so long the steps have been running when the worker dies
_NDJSON = "content-type: application/x-ndjson\r\n"


class Kill(NamedTuple):
    """Seconds after a kill. again_s: when each step of the dead worker ran again. new_s: when each new turn ended."""

    again_s: list[float]
    new_s: list[float]


class Call(NamedTuple):
    """One start of a step, as the step wrote it down."""

    turn_id: str
    attempt: int
    pid: int
    at_s: float


def calls_in(folder: Path) -> list[Call]:
    lines = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    parts = [line.split() for line in lines]
    return [Call(turn_id, int(attempt), int(pid), float(at)) for turn_id, attempt, pid, at in parts]


async def _post(on: Bed, sessions: list[str], workflow: str, job: dict[str, Any]) -> list[str]:
    """Post one turn to each session; returns their ids."""
    lines = [json.dumps({"session": session, "workflow": workflow, "input": job}) for session in sessions]
    answer = await on.client.request("POST", "/v1/turns:batch", "\n".join(lines).encode(), _NDJSON)
    if answer.status != 200:
        raise RefusedError(f"batch: {answer.status} {answer.body[:300]!r}")
    rows = [json.loads(line) for line in answer.body.splitlines() if line]
    return [row["turn_id"] for row in rows]


async def _until_calls(folder: Path, turn_ids: set[str], within_s: float, but_not: int = 0) -> list[Call]:
    """Return the calls of the turns' steps in processes other than `but_not`, once there is one of each turn."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = [call for call in calls_in(folder) if call.turn_id in turn_ids and call.pid != but_not]
        if {call.turn_id for call in found} == turn_ids:
            return found
        await asyncio.sleep(0.02)
    raise RefusedError(f"of {len(turn_ids)} steps {len(found)} were running within {within_s} s: {found[:3]}")


async def _until_ended(on: Bed, turn_ids: list[str], within_s: float) -> list[float]:
    """Return when each turn ended, in seconds since 1970."""
    deadline = time.monotonic() + within_s
    ids = [uuid.UUID(turn_id) for turn_id in turn_ids]
    while time.monotonic() < deadline:
        rows = await on.database.fetch(
            "SELECT extract(epoch FROM ended_at)::float8 AS at FROM argosy.turns"
            " WHERE turn_id = ANY ($1) AND status = 'completed'",
            ids,
        )
        if len(rows) == len(ids):
            return [row["at"] for row in rows]
        await asyncio.sleep(0.05)
    raise RefusedError(f"not all of {len(ids)} turns ended within {within_s} s")


async def _kill(on: Bed, workers: list[Managed], number: int) -> Kill:
    """Kill one of the workers and start another in its place."""
    folder = on.folder / f"kill-{number}"
    folder.mkdir()
    sessions = [f"kill-{number}-{each}" for each in range(STEPS)]
    turn_ids = await _post(on, sessions, "bench_holds", {"folder": str(folder)})
    first = await _until_calls(folder, set(turn_ids), 30)
    await asyncio.sleep(_RUNNING_S)
    victim = workers.pop(number % len(workers))
    session_of = dict(zip(turn_ids, sessions, strict=True))
    lost = {call.turn_id for call in first if call.pid == victim.pid}
    killed_at_s = time.time()
    victim.process.kill()
    new_ids = await _post(on, [session_of[turn_id] for turn_id in lost], "echo", {})
    again = await _until_calls(folder, lost, 60, but_not=victim.pid)
    (folder / "released").touch()
    ended_at_s = await _until_ended(on, [*turn_ids, *new_ids], 90)
    new_at_s = await _until_ended(on, new_ids, 5)
    assert len(ended_at_s) == len(turn_ids) + len(new_ids)
    victim.process.wait(10)
    kept = {call.turn_id for call in calls_in(folder) if call.attempt > 1} - lost
    if kept:
        raise RefusedError(f"{len(kept)} steps of living workers ran again")
    workers.append(on.fleet.worker())
    await until_shared(on.database, [worker.pid for worker in workers], PARTITIONS)
    return Kill([call.at_s - killed_at_s for call in again], [at - killed_at_s for at in new_at_s])


async def measure(servers: Services, folder: Path, kills: int) -> list[Finding]:
    async with bed(servers, folder, "recovery", PARTITIONS, eligible_s=SESSION_TIMEOUT_S) as on:
        workers = on.fleet.workers(WORKERS)
        await until_shared(on.database, [worker.pid for worker in workers], PARTITIONS)
        await _kill(on, workers, 0)  # connections and pages are warm afterwards
        seen = [await _kill(on, workers, number) for number in range(1, kills + 1)]
    firsts = p50_p99_ms([min(kill.again_s) for kill in seen])
    lasts = p50_p99_ms([max(kill.again_s) for kill in seen])
    new = p50_p99_ms([max(kill.new_s) for kill in seen])
    steps = sum(len(kill.again_s) for kill in seen) / len(seen)
    bound_s = SESSION_TIMEOUT_S + 2
    title = f"kill -9, 1 of {WORKERS} workers, {steps:.0f} steps in it, {kills} times"
    return [
        Finding.ms(f"{title}: first step again elsewhere", firsts, 500),
        Finding.ms(f"{title}: last step again elsewhere", lasts, 500),
        Finding.ms(f"{title}: last new turn of its sessions ended", new, bound_s * 1e3),
    ]

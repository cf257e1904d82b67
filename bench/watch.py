"""Live events: how late a frame is, how soon first events and answers come, and what frames cost."""

import asyncio
import contextlib
import json
import math
import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg

from bench.bed import Bed, bed
from bench.floor import PARTITIONS
from bench.http import HttpClient
from bench.latency import measure_completion, measure_signal, p50_p99_ms
from bench.listener import Listener
from bench.load import RefusedError, count_turns, post_batches, until_ended
from bench.report import Finding
from bench.services import Services

_JSON = "content-type: application/json\r\n"
_COALESCE_MS = 30.0  # as shipped
_INTERVAL_S = 0.05
_PAIRS = 80
_KINDS = ("bench_unwatched", "bench_silent")
# Both load a fleet little. During a pause the machine falls asleep: on the machine measured, a round trip to Postgres
# takes 0.02 ms without a pause before it and 0.4 ms after one, and each sample has ten such steps.
_PACES = ((0.0, "one after the other"), (0.05, "with pauses"))


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    """Measure on one fleet with one worker and one gateway; all clients are in this process."""
    samples, duration_s, turns = (60, 5.0, 500) if is_quick else (200, 10.0, 2_500)
    found = []
    async with _with_commit_times(servers), bed(servers, folder, "watch", PARTITIONS) as on:
        on.fleet.worker()
        await measure_completion(on.client, on.database, 30)
        unwatched = await _unwatched(on, turns)  # first: meanwhile the broker compiles what it runs
        for pause_s, pace in _PACES:
            opened, session = await _first(on, samples, pause_s), await _first_of_session(on, samples, pause_s)
            found += _asked(f"first durable event, stream opened after the POST, {pace}", opened, 8, 25)
            found += _asked(f"first durable event, session watched before, {pace}", session, 8, 25)
            signalled = await measure_signal(on.client, on.database, samples, pause_s)
            found += _asked(f"signal to resumed, {pace}", signalled, 3, 25)
        found += _asked("Prefer: wait, answer after the flush", await _answered(on, samples), 3, None)
        for watched in (20, 200):
            seen = await _frames(on, watched, duration_s)
            found += _asked(
                f"frame at the client, {watched} turns, 20 frames/s", seen, _COALESCE_MS + 5, _COALESCE_MS + 30
            )
    return [*found, unwatched]


def _asked(what: str, seen: dict[str, float], p50_ms_max: float, p99_ms_max: float | None) -> list[Finding]:
    """Return two findings, for median and tail, which have separate targets; the load average is shown, too."""
    load = f"(load average {os.getloadavg()[0]:.1f})"
    p50, p99 = seen["p50_ms"], seen["p99_ms"]
    print(f"  {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms {load}", flush=True)
    tail = (f"p99 ≤ {p99_ms_max:g} ms", p99 <= p99_ms_max) if p99_ms_max is not None else ("", None)
    return [
        Finding(what, f"p50 {p50:.1f} ms {load}", f"p50 ≤ {p50_ms_max:g} ms", p50 <= p50_ms_max),
        Finding("", f"p99 {p99:.1f} ms", *tail),
    ]


async def _post(client: HttpClient, session: str, workflow: str, job: object, headers: str = "") -> bytes:
    body = json.dumps({"workflow": workflow, "input": job}).encode()
    answer = await client.request("POST", f"/v1/sessions/{session}/turns", body, _JSON + headers)
    if answer.status not in (200, 202):
        raise RefusedError(f"{answer.status} {answer.body[:300]!r}")
    return answer.body


async def _first(on: Bed, samples: int, pause_s: float) -> dict[str, float]:
    """Measure from sending the POST to the first durable event, on a stream that is opened after the answer."""
    took_s = []
    for number in range(samples):
        first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        began_s = time.time()
        turn_id = json.loads(await _post(on.client, f"first-{number}", "echo", {}))["turn_id"]
        listener = await Listener.open(on.fleet.port, f"/v1/turns/{turn_id}/events", _hears(first))
        took_s.append(await asyncio.wait_for(first, 10) - began_s)
        listener.close()
        await asyncio.sleep(pause_s)
    return p50_p99_ms(took_s)


async def _first_of_session(on: Bed, samples: int, pause_s: float) -> dict[str, float]:
    """Measure the same for turns of one session, on a stream of the session that was open before."""
    started: asyncio.Queue[float] = asyncio.Queue()
    session, took_s = f"watched-{pause_s:g}", []
    listener = await Listener.open(on.fleet.port, f"/v1/sessions/{session}/events", _tells(started))
    await asyncio.sleep(0.5)
    for _ in range(samples):
        began_s = time.time()
        await _post(on.client, session, "echo", {})
        took_s.append(await asyncio.wait_for(started.get(), 10) - began_s)
        await asyncio.sleep(pause_s)
    listener.close()
    return p50_p99_ms(took_s)


def _hears(first: "asyncio.Future[float]") -> Callable[[bytes, float], None]:
    def on_bytes(data: bytes, now_s: float) -> None:
        if b"event: turn.started" in data and not first.done():
            first.set_result(now_s)

    return on_bytes


def _tells(started: "asyncio.Queue[float]") -> Callable[[bytes, float], None]:
    def on_bytes(data: bytes, now_s: float) -> None:
        for _ in range(data.count(b"event: turn.started")):
            started.put_nowait(now_s)

    return on_bytes


async def _answered(on: Bed, samples: int) -> dict[str, float]:
    """Measure from when the flush of the turn's end is on disk to the answer of the POST.

    The flush is on disk at its commit record's time plus what a flush to disk takes here. The answer's time is this
    process's clock, corrected by the offset between it and the database's.
    """
    offset_s = await _offset_s(on.database)
    disk_s = await _disk_s(on.database, samples)
    took_s = []
    for number in range(samples):
        answer = json.loads(await _post(on.client, f"waits-{number}", "bench_naps", {}, "prefer: wait=10\r\n"))
        answered_s = time.time() + offset_s
        took_s.append(answered_s - await _committed_s(on.database, answer["turn_id"]) - disk_s)
    print(f"  a flush to disk: p50 {disk_s * 1e3:.1f} ms", flush=True)
    return p50_p99_ms(took_s)


async def _committed_s(database: asyncpg.Connection, turn_id: str) -> float:
    """Return when the last flush of a turn was committed, in seconds since 1970."""
    query = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM argosy.turns WHERE turn_id = $1"
    return float(await database.fetchval(query, uuid.UUID(turn_id)))


async def _disk_s(database: asyncpg.Connection, samples: int) -> float:
    """Return by how much a commit that waits for the disk takes longer than one that does not (medians)."""
    await database.execute("CREATE TABLE bench_commits (no integer)")
    took_s: dict[str, list[float]] = {"on": [], "off": []}
    for number in range(samples):
        for mode, seen in took_s.items():
            await database.execute(f"SET synchronous_commit = {mode}")
            began_s = time.perf_counter()
            await database.execute("INSERT INTO bench_commits VALUES ($1)", number)
            seen.append(time.perf_counter() - began_s)
            await asyncio.sleep(0.005)
    await database.execute("RESET synchronous_commit")
    return statistics.median(took_s["on"]) - statistics.median(took_s["off"])


@contextlib.asynccontextmanager
async def _with_commit_times(servers: Services) -> AsyncIterator[None]:
    """Make PostgreSQL record when each transaction is committed, for as long as the context lasts."""
    await _start_anew(servers, "SET track_commit_timestamp = on")
    try:
        yield
    finally:
        await _start_anew(servers, "RESET track_commit_timestamp")


async def _start_anew(servers: Services, change: str) -> None:
    database = await asyncpg.connect(servers.postgres.dsn)
    await database.execute(f"ALTER SYSTEM {change}")
    await database.close()
    await asyncio.to_thread(servers.postgres.stop)
    await asyncio.to_thread(servers.postgres.start)


async def _offset_s(database: asyncpg.Connection) -> float:
    """Return the database's clock less this process's, from the fastest of 50 questions.

    Wrong by at most half of that question's round trip.
    """
    best = (1.0, 0.0)
    for _ in range(50):
        began_s = time.time()
        theirs_s = float(await database.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
        ended_s = time.time()
        best = min(best, (ended_s - began_s, theirs_s - (began_s + ended_s) / 2))
    return best[1]


async def _frames(on: Bed, turns: int, duration_s: float) -> dict[str, float]:
    """Measure each frame from its emit to its arrival, with one client per turn.

    All turns begin to emit at one moment, when every client should be connected.
    """
    begins_at_s = time.time() + 2 + turns * 0.03
    job = {"begins_at_s": begins_at_s, "duration_s": duration_s, "interval_s": _INTERVAL_S}
    listeners = []
    for number in range(turns):
        turn_id = json.loads(await _post(on.client, f"says-{turns}-{number}", "bench_says", job))["turn_id"]
        listeners.append(await Listener.open(on.fleet.port, f"/v1/turns/{turn_id}/events"))
    late_s = time.time() - begins_at_s
    async with asyncio.timeout(duration_s * 3 + 30):
        for each in listeners:
            await each.is_over.wait()
            each.close()
    delays_s = [delay_s for each in listeners for delay_s in each.delays_s]
    expected, late_s = turns * duration_s / _INTERVAL_S, max(0.0, late_s)
    print(f"  {len(delays_s)} frames of {turns} turns, of {expected:.0f}; {late_s:.1f} s too late", flush=True)
    return p50_p99_ms(delays_s)


async def _unwatched(on: Bed, turns: int) -> Finding:
    """Compare turns with 20 frames that nobody watches with turns without frames that write as many bytes.

    Many pairs of short rounds, with each kind first in half of them: a single round is off by a quarter on a machine
    that others use, too.
    """
    ratios = []
    for number in range(_PAIRS + 2):
        order = _KINDS if number % 2 else _KINDS[::-1]
        rates = {kind: await _rate(on, turns, kind, number) for kind in order}
        if number > 1:  # the first two rounds warm the fleet up
            ratios.append(rates["bench_unwatched"] / rates["bench_silent"])
    ratio = statistics.geometric_mean(ratios)
    error = ratio * statistics.stdev(map(math.log, ratios)) / math.sqrt(_PAIRS)
    shown = f"{ratio:.3f} ± {error:.3f} (mean of {_PAIRS} pairs; load average {os.getloadavg()[0]:.1f})"
    return Finding("throughput with 20 unwatched frames a turn", shown, "≥ 0.95", ratio >= 0.95)


async def _rate(on: Bed, turns: int, workflow: str, number: int) -> float:
    total = await count_turns(on.database) + turns
    began_s = time.monotonic()
    await post_batches(on.client, turns, 500, f"{workflow}-{number}", workflow)
    return turns / (await until_ended(on.database, total) - began_s)

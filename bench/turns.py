"""What one turn costs: throughput against the floor, latencies, and a worker's memory."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import asyncpg

from argosy.record import TurnRequested, encode
from bench.bed import bed
from bench.cpu import CpuMeter, machine_busy_s, rss_mb
from bench.floor import PARTITIONS, run_floor
from bench.http import HttpClient
from bench.latency import measure_completion, measure_signal
from bench.load import INPUT, RefusedError, count_turns, post_batches, post_singles, until_ended
from bench.report import Finding, Run, summarise
from bench.services import Services
from bench.warmth import is_warm
from tests.harness.processes import Managed

_ROUND_TURNS: Final = (
    40_000  # fewer are no measure: the broker, the planner and the caches are still finding their pace
)
_WARM_RECORDS: Final = 20_000  # of one round that warms the broker up
_WARM_ROUNDS_MAX: Final = 15
_BATCH, _ONE_SESSION, _SINGLES = "batch, 500 sessions", "batch, 1 session", "single, 32 clients"


class Bench:
    """One warm fleet, and what is measured on it."""

    def __init__(
        self,
        gateway: Managed,
        worker: Managed,
        servers: Services,
        database: asyncpg.Connection,
        client: HttpClient,
        *,
        scale: float,
        runs: int,
    ) -> None:
        self._servers, self._database, self._client = servers, database, client
        self._scale, self._runs = scale, runs
        self.worker = worker
        self._pids = {
            "gateway": [gateway.pid],
            "worker": [worker.pid],
            "kafka": [servers.broker_pid],
            "postgres": [servers.postgres.pid],
            "load": [os.getpid()],
        }
        self._posted = 0

    def _turns(self, turns: int) -> int:
        return max(200, int(turns * self._scale))

    async def _measure(self, turns: int, work: Callable[[], Awaitable[object]], parts: tuple[str, ...]) -> Run:
        meter = CpuMeter(lambda: {part: self._pids[part] for part in parts})
        meter.start()
        loop = asyncio.get_running_loop()
        busy_s = machine_busy_s()
        started = loop.time()
        await work()
        elapsed_s = loop.time() - started
        return Run(turns, elapsed_s, meter.spent_s(), machine_busy_s() - busy_s)

    async def _posting(self, turns: int, post: Callable[[int, str], Awaitable[object]]) -> Run:
        self._posted += 1
        name = f"run{self._posted}"
        total = await count_turns(self._database) + turns

        async def work() -> None:
            await post(turns, name)
            await until_ended(self._database, total)

        return await self._measure(turns, work, ("gateway", "worker", "kafka", "postgres", "load"))

    async def _floor(self, turns: int) -> Run:
        text = json.dumps(INPUT, separators=(",", ":")).encode()
        value = encode(TurnRequested(bytes(16), "default", "default", "run1-499", "echo", text))
        elapsed_s = 0.0

        async def work() -> None:
            nonlocal elapsed_s
            elapsed_s = await run_floor(self._servers.bootstrap, self._servers.postgres.dsn, turns, value)

        run = await self._measure(turns, work, ("kafka", "postgres", "load"))
        return run._replace(elapsed_s=elapsed_s)

    async def throughput(self) -> dict[str, Any]:
        """Measure all variants in rotation, so that what the machine does meanwhile affects all of them."""
        client, turns = self._client, self._turns(_ROUND_TURNS)
        await self._posting(turns, lambda n, name: post_batches(client, n, 500, name))
        await self._warm_up()
        runs: dict[str, list[Run]] = {}
        for _ in range(self._runs):
            for name, run in (
                ("floor", self._floor(turns)),
                (_BATCH, self._posting(turns, lambda n, s: post_batches(client, n, 500, s))),
                (_ONE_SESSION, self._posting(turns, lambda n, s: post_batches(client, n, 1, s))),
                (_SINGLES, self._posting(turns, lambda n, s: post_singles(client, n, 500, s))),
            ):
                done = await run
                runs.setdefault(name, []).append(done)
                print(f"  {name}: {done.rate:.0f}/s", flush=True)
        return {name: summarise(done) for name, done in runs.items()}

    async def _warm_up(self) -> None:
        """Send records through the floor until what a record costs the broker is flat."""
        costs_us: list[float] = []
        while not is_warm(costs_us):
            if len(costs_us) == _WARM_ROUNDS_MAX:
                print("  the broker is not warm: what a record costs it still changes", flush=True)
                return
            done = await self._floor(self._turns(_WARM_RECORDS))
            costs_us.append(done.cpu_s["kafka"] / done.turns * 1e6)
            print(f"  warming up: {costs_us[-1]:.0f} µs of the broker a record", flush=True)

    async def latency(self) -> dict[str, Any]:
        samples = self._turns(300)
        await measure_completion(self._client, self._database, 50)
        rows: dict[str, Any] = await measure_completion(self._client, self._database, samples)
        rows["signal to resumed"] = await measure_signal(self._client, self._database, samples // 2)
        return rows

    async def idle(self) -> dict[str, float]:
        """Measure the worker's memory and CPU before any turn was posted."""
        await asyncio.sleep(3)
        meter = CpuMeter(lambda: {"worker": [self.worker.pid]})
        meter.start()
        await asyncio.sleep(5)
        return {
            "idle RSS, MB": round(rss_mb(self.worker.pid), 1),
            "idle CPU, % of a core": round(meter.spent_s()["worker"] / 5 * 100, 2),
        }

    async def suspended_memory(self) -> dict[str, float]:
        """Measure what 10,000 suspended turns of 10,000 sessions add to the memory of a warm worker."""
        turns = self._turns(10_000)
        await asyncio.sleep(2)
        before = rss_mb(self.worker.pid)
        await post_batches(self._client, turns, turns, "suspended", "bench_waits")
        await self._until_suspended(turns)
        await asyncio.sleep(2)
        after = rss_mb(self.worker.pid)
        return {
            "RSS before suspending, MB": round(before, 1),
            f"added by {turns} suspended, MB": round(after - before, 1),
        }

    async def _until_suspended(self, turns: int) -> None:
        for _ in range(600):
            if await self._database.fetchval("SELECT count(*) FROM argosy.turns WHERE status = 'suspended'") >= turns:
                return
            await asyncio.sleep(0.2)
        raise RefusedError(f"{turns} turns were not suspended within 120 s")


async def measure(servers: Services, folder: Path, scale: float) -> tuple[dict[str, Any], list[Finding]]:
    """Measure idle worker, throughput, latency and memory on one fleet with one worker; what is asked of them."""
    async with bed(servers, folder, "turns", PARTITIONS) as on:
        gateway = on.fleet.processes[0]
        runs = 5 if scale >= 1 else 3
        bench = Bench(gateway, on.fleet.worker(), servers, on.database, on.client, scale=scale, runs=runs)
        worker = await bench.idle()
        throughput = await bench.throughput()
        latency = await bench.latency()
        worker |= await bench.suspended_memory()
    measured = {"throughput": throughput, "latency": latency, "worker": worker}
    return measured, _asked(throughput, latency)


def _asked(throughput: dict[str, Any], latency: dict[str, Any]) -> list[Finding]:
    """What is asked of these medians."""
    rates = {name: row["turns_per_s"] for name, row in throughput.items()}
    ratio = rates[_BATCH] / rates["floor"]
    completed = latency["completed"]
    return [
        Finding(f"{_BATCH}: of the floor", f"{ratio:.2f}", "≥ 0.25", ratio >= 0.25),
        *(
            Finding(f"{name}: turns/s", f"{rates[name]:,.0f}", f"≥ {least:,}", rates[name] >= least)
            for name, least in ((_SINGLES, 3_000), (_ONE_SESSION, 2_500))
        ),
        *(
            Finding(f"a turn completed, 20 a second: {of}", f"{seen:.1f} ms", f"≤ {most} ms", seen <= most)
            for of, seen, most in (("p50", completed["p50_ms"], 5.4), ("p99", completed["p99_ms"], 17))
        ),
    ]

"""`python -m bench [--quick] [--json FILE]`: start a broker, Postgres, gateway and worker, measure, stop them."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from argosy.record import TurnRequested, encode
from bench.cpu import CpuMeter, machine_busy_s, rss_mb
from bench.floor import PARTITIONS, run_floor
from bench.http import HttpClient
from bench.latency import measure_completion, measure_signal
from bench.load import INPUT, RefusedError, count_turns, post_batches, post_singles, until_ended
from bench.report import Run, print_table, summarise
from bench.services import Services, services
from tests.harness.fleet import Fleet

WORKFLOWS = Path(__file__).parent / "workflows.py"


class Bench:
    """One fleet, warm, and what is measured on it."""

    def __init__(self, fleet: Fleet, servers: Services, database: asyncpg.Connection, scale: float, runs: int) -> None:
        self._fleet, self._servers, self._database = fleet, servers, database
        self._scale, self._runs = scale, runs
        gateway, self.worker = fleet.gateway(), fleet.worker()
        self._client = HttpClient("127.0.0.1", fleet.port)
        self._pids = {
            "gateway": [gateway.pid],
            "worker": [self.worker.pid],
            "kafka": [servers.broker_pid],
            "postgres": [servers.postgres_pid],
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
            elapsed_s = await run_floor(self._servers.bootstrap, self._servers.dsn, turns, value)

        run = await self._measure(turns, work, ("kafka", "postgres", "load"))
        return run._replace(elapsed_s=elapsed_s)

    async def throughput(self) -> dict[str, Any]:
        """Variants take turns, so that what the machine does meanwhile meets them all."""
        client = self._client
        await self._posting(self._turns(30_000), lambda n, name: post_batches(client, n, 500, name))
        await self._floor(self._turns(20_000))
        runs: dict[str, list[Run]] = {}
        for _ in range(self._runs):
            for name, run in (
                ("floor", self._floor(self._turns(40_000))),
                (
                    "batch, 500 sessions",
                    self._posting(self._turns(30_000), lambda n, s: post_batches(client, n, 500, s)),
                ),
                ("batch, 1 session", self._posting(self._turns(1_000), lambda n, s: post_batches(client, n, 1, s))),
                ("single, 32 clients", self._posting(self._turns(8_000), lambda n, s: post_singles(client, n, 500, s))),
            ):
                done = await run
                runs.setdefault(name, []).append(done)
                print(f"  {name}: {done.rate:.0f}/s", flush=True)
        return {name: summarise(done) for name, done in runs.items()}

    async def latency(self) -> dict[str, Any]:
        samples = self._turns(300)
        await measure_completion(self._client, self._database, 50)
        rows: dict[str, Any] = await measure_completion(self._client, self._database, samples)
        rows["signal to resumed"] = await measure_signal(self._client, self._database, samples // 2)
        return rows

    async def idle(self) -> dict[str, float]:
        """Before anything was posted."""
        await asyncio.sleep(3)
        meter = CpuMeter(lambda: {"worker": [self.worker.pid]})
        meter.start()
        await asyncio.sleep(5)
        return {
            "idle RSS, MB": round(rss_mb(self.worker.pid), 1),
            "idle CPU, % of a core": round(meter.spent_s()["worker"] / 5 * 100, 2),
        }

    async def suspended_memory(self) -> dict[str, float]:
        """What 10,000 suspended turns of 10,000 sessions add to a worker that was warm before."""
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

    def close(self) -> None:
        self._client.close()


async def run(is_quick: bool) -> dict[str, Any]:
    """Everything, on servers of its own."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-bench-")))
        servers = stack.enter_context(services(folder))
        fleet = Fleet(
            folder / "fleet",
            servers.dsn,
            servers.bootstrap,
            PARTITIONS,
            ARGOSY_WORKFLOWS=str(WORKFLOWS),
            LOG_LEVEL="warning",
        )
        stack.callback(fleet.stop)
        fleet.prepare()
        database = await asyncpg.connect(servers.dsn)
        bench = Bench(fleet, servers, database, scale=0.2 if is_quick else 1.0, runs=3)
        try:
            worker = await bench.idle()
            throughput = await bench.throughput()
            latency = await bench.latency()
            worker |= await bench.suspended_memory()
        except BaseException:
            print(fleet.logs())
            raise
        finally:
            bench.close()
            await database.close()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    return {"machine": machine, "throughput": throughput, "latency": latency, "worker": worker}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the turns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    arguments = parser.parse_args()
    result = uvloop.run(run(arguments.quick))
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

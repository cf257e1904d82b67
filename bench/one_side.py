"""A fleet of the checkout in the working directory, which is measured when it is told to.

Run by bench/beside.py, with the Python of that checkout and none of this one's modules. A line of standard input says
what to measure and how often; the answer is a line of JSON.

turns N     N small turns: turns per second, and the worker's CPU in µs per turn
latency N   N turns, then N signals, 20 a second: the medians in ms, of the 202, of the end, and of the signal's effect
recovery N  N times kill -9 of one of three workers: the means in ms until the last of its steps ran again elsewhere,
            and until the last new turn of its sessions had ended
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from bench import recovery
from bench.bed import Bed, bed
from bench.floor import PARTITIONS
from bench.latency import measure_completion, measure_signal
from bench.load import count_turns, post_batches, until_ended
from bench.owned import until_shared
from bench.services import Services, services
from tests.harness.processes import Managed

_SESSIONS = 500


def _cpu_ns(pid: int) -> int:
    """Of all threads that a process has and had, by its CPU clock (clock_getcpuclockid): psutil's ticks each 10 ms."""
    return time.clock_gettime_ns((~pid << 3) | 2)


class _Side:
    """The fleets: one with one worker, and from the first recovery on one with three."""

    def __init__(self, on: Bed, servers: Services, folder: Path, stack: AsyncExitStack) -> None:
        self._on = on
        self._pid = on.fleet.worker().pid
        self._servers = servers
        self._folder = folder
        self._stack = stack
        self._rounds = 0
        self._of_three: tuple[Bed, list[Managed]] | None = None
        self._kills = 0

    async def turns(self, turns: int) -> dict[str, float]:
        self._rounds += 1
        on, loop = self._on, asyncio.get_running_loop()
        total = await count_turns(on.database) + turns
        spent_ns, began_s = _cpu_ns(self._pid), loop.time()
        await post_batches(on.client, turns, _SESSIONS, f"round{self._rounds}")
        await until_ended(on.database, total)
        return {"rate": turns / (loop.time() - began_s), "cpu_us": (_cpu_ns(self._pid) - spent_ns) / turns / 1_000}

    async def latency(self, samples: int) -> dict[str, float]:
        of_turns: dict[str, object] = await measure_completion(self._on.client, self._on.database, samples)
        of_signals = await measure_signal(self._on.client, self._on.database, samples)
        told = {name: found["p50_ms"] for name, found in of_turns.items() if isinstance(found, dict)}
        return {f"{name}_ms": value for name, value in told.items()} | {"signalled_ms": of_signals["p50_ms"]}

    async def recovery(self, kills: int) -> dict[str, float]:
        if self._of_three is None:
            opened = bed(
                self._servers, self._folder, "recovery", recovery.PARTITIONS, eligible_s=recovery.SESSION_TIMEOUT_S
            )
            three = await self._stack.enter_async_context(opened)
            workers = three.fleet.workers(recovery.WORKERS)
            await until_shared(three.database, [worker.pid for worker in workers], recovery.PARTITIONS)
            self._of_three = three, workers
        seen = []
        for _ in range(kills):
            self._kills += 1
            # The name that the bench of the version before has for it, too.
            seen.append(await recovery._kill(*self._of_three, self._kills))
        return {
            "again_ms": statistics.mean(max(each.again_s) for each in seen) * 1e3,
            "new_ms": statistics.mean(max(each.new_s) for each in seen) * 1e3,
        }


async def _serve(folder: Path) -> None:
    with services(folder) as servers:
        async with AsyncExitStack() as stack, bed(servers, folder, "beside", PARTITIONS) as on:
            side = _Side(on, servers, folder, stack)
            measures: dict[str, Callable[[int], Awaitable[dict[str, float]]]] = {
                "turns": side.turns,
                "latency": side.latency,
                "recovery": side.recovery,
            }
            print(json.dumps({"beside": {}}), flush=True)
            while line := (await asyncio.to_thread(sys.stdin.readline)).split():
                print(json.dumps({"beside": await measures[line[0]](int(line[1]))}), flush=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as made:
        asyncio.run(_serve(Path(made)))

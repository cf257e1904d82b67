"""A fleet of the checkout in the working directory, which runs rounds of small turns when it is told to.

Run by bench/beside.py, with the Python of that checkout and none of this one's modules. A line of standard input is how
many turns; the answer is a line of JSON: turns per second, and the worker's CPU in µs per turn.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from bench.bed import Bed, bed
from bench.floor import PARTITIONS
from bench.load import count_turns, post_batches, until_ended
from bench.services import services

_SESSIONS = 500


def _cpu_ns(pid: int) -> int:
    """Of all threads that a process has and had, by its CPU clock (clock_getcpuclockid): psutil's ticks each 10 ms."""
    return time.clock_gettime_ns((~pid << 3) | 2)


async def _round(on: Bed, pid: int, turns: int, number: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    total = await count_turns(on.database) + turns
    spent_ns, began_s = _cpu_ns(pid), loop.time()
    await post_batches(on.client, turns, _SESSIONS, f"round{number}")
    await until_ended(on.database, total)
    return {"rate": turns / (loop.time() - began_s), "cpu_us": (_cpu_ns(pid) - spent_ns) / turns / 1_000}


async def _serve(folder: Path) -> None:
    with services(folder) as servers:
        async with bed(servers, folder, "beside", PARTITIONS) as on:
            pid = on.fleet.worker().pid
            number = 0
            print(json.dumps({"beside": {}}), flush=True)
            while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
                number += 1
                print(json.dumps({"beside": await _round(on, pid, int(line), number)}), flush=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as made:
        asyncio.run(_serve(Path(made)))

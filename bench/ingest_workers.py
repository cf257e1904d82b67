"""One ingest worker, and two: the same uploads into several graphs in several partitions, in alternating order.

With two shards, so that the workers have somebody to wait for. What a second worker gains depends on free cores.
"""

import asyncio
import json
import os
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.feed_lines import lines_of, nodes
from bench.ingest_fleet import IngestFleet, ingest_fleet
from bench.load import RefusedError
from bench.report import Finding
from bench.services import Services
from tests.harness.processes import Managed

_PARTITIONS: Final = 16
_GRAPHS: Final = 8
_ORDER: Final = (1, 2, 2, 1)
_SHARED_S: Final = 60.0
_SETTINGS: Final = {"KG_TASKS_PARTITIONS": str(_PARTITIONS), "INGEST_TENANT_UPLOADS_MAX": str(_GRAPHS)}


def _partitions_of(worker: Managed) -> set[int]:
    """Return the partitions that a worker reads; none while it is not ready."""
    try:
        with urllib.request.urlopen(worker.ready_url, timeout=5) as answer:  # noqa: S310
            return set(json.load(answer)["partitions"])
    except urllib.error.HTTPError:
        return set()


async def _until_shared(workers: Sequence[Managed]) -> None:
    """Return when these workers read every partition, each nearly as many as any other. Raises RefusedError."""
    until_s = time.monotonic() + _SHARED_S
    while time.monotonic() < until_s:
        found = [await asyncio.to_thread(_partitions_of, each) for each in workers]
        if sum(map(len, found)) == len(set().union(*found)) == _PARTITIONS and min(map(len, found)) >= _PARTITIONS // 4:
            return
        await asyncio.sleep(0.1)
    raise RefusedError(f"partitions are not shared after {_SHARED_S:.0f} s: {found}")


async def _rate(on: IngestFleet, body: bytes, name: str) -> float:
    began_s = time.perf_counter()
    jobs = await asyncio.gather(*(on.upload(f"{name}-{number}", body) for number in range(_GRAPHS)))
    lines = sum([await on.until_done(job) for job in jobs])
    return lines / (time.perf_counter() - began_s)


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    body = b"\n".join(lines_of(nodes(10_000 if is_quick else 25_000)))
    rates: dict[int, list[float]] = {1: [], 2: []}
    async with ingest_fleet(servers, folder, "ingest_workers", ("one", "two"), **_SETTINGS) as on:
        workers = [on.worker]
        await _until_shared(workers)
        await _rate(on, body[: len(body) // 5].rpartition(b"\n")[0], "warm")
        for number, count in enumerate(_ORDER * (1 if is_quick else 3)):
            if count > len(workers):
                workers.append(await asyncio.to_thread(on.bed.fleet.ingest_worker))
            elif count < len(workers):
                await asyncio.to_thread(workers.pop().terminate)
            await _until_shared(workers)
            rates[count].append(await _rate(on, body, f"run-{number}"))
            print(f"  {count} ingest worker{'s' * (count > 1)}: {rates[count][-1]:,.0f} lines/s", flush=True)
    single, double = (statistics.median(rates[count]) for count in (1, 2))
    what = f"two ingest workers against one, {_GRAPHS} graphs, {os.cpu_count()} cores"
    return [Finding(what, f"{double / single:.2f} ({double:,.0f} lines/s against {single:,.0f})", "", None)]

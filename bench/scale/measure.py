"""Measures what one turn costs each part of a fleet, on one machine, and prints what many machines would need."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg
import psutil

from bench.bed import Bed, bed
from bench.cpu import CpuMeter, rss_mb
from bench.floor import PARTITIONS
from bench.load import count_turns, post_batches, post_singles, until_ended
from bench.owned import until_shared
from bench.report import Finding
from bench.scale import model
from bench.scale.costs import Costs
from bench.services import Services

_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'argosy' AND c.relkind IN ('r', 'p')
"""
_WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8"
_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_STATISTICS_S = 1.5  # Postgres's processes report what they did about once a second
_IDLE_S = 10.0


class _Look(NamedTuple):
    """How much there is of what only grows."""

    wal: float
    postgres: float
    kafka: float
    commits: float
    network: float

    def since(self, before: "_Look", turns: int) -> "_Look":
        return _Look(*((now - then) / turns for now, then in zip(self, before, strict=True)))


class _Measured(NamedTuple):
    """Of one round: microseconds of CPU a turn by part, what grew a turn, and turns a second."""

    cpu_us: dict[str, float]
    grown: _Look
    turns_s: float


class _Rounds:
    """Rounds of turns on one fleet. folder: the broker's. parts: the pids of each part of the fleet."""

    def __init__(self, on: Bed, folder: Path, parts: dict[str, list[int]]) -> None:
        self._on, self._folder = on, folder
        self._meter = CpuMeter(lambda: parts)
        self._begun = 0

    async def round(self, turns: int, post: Callable[[int, str], Awaitable[object]]) -> _Measured:
        self._begun += 1
        total = await count_turns(self._on.database) + turns
        before = await self.look()
        self._meter.start()
        began_s = time.monotonic()
        await post(turns, f"scale{self._begun}")
        ended_s = await until_ended(self._on.database, total)
        cpu_us = {part: spent / turns * 1e6 for part, spent in self._meter.spent_s().items()}
        return _Measured(cpu_us, (await self.look()).since(before, turns), turns / (ended_s - began_s))

    async def look(self) -> _Look:
        await asyncio.sleep(_STATISTICS_S)
        database = self._on.database
        values = [await database.fetchval(query) for query in (_WAL, _SIZE, _COMMITS)]
        sent = psutil.net_io_counters(pernic=True)["lo"].bytes_sent
        return _Look(values[0], values[1], await asyncio.to_thread(_disk_bytes, self._folder), values[2], sent)


def _disk_bytes(folder: Path) -> int:
    """Return the disk that files below a folder take: the broker's indexes are larger than what is written of them."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH116, PTH118
            except FileNotFoundError:
                continue
    return total


async def _suspended_size_bytes(on: Bed, pid: int, turns: int) -> float:
    before = rss_mb(pid)
    await post_batches(on.client, turns, turns, "suspended", "bench_waits")
    async with asyncio.timeout(120):
        while await _suspended(on.database) < turns:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    return (rss_mb(pid) - before) / turns * 1e6


async def _suspended(database: asyncpg.Connection) -> int:
    return int(await database.fetchval("SELECT count(*) FROM argosy.turns WHERE status = 'suspended'"))


async def costs(servers: Services, folder: Path, is_quick: bool) -> Costs:
    """Measure all costs, on a fleet of one gateway and one worker that was warmed up."""
    turns = 10_000 if is_quick else 40_000
    async with bed(servers, folder, "scale", PARTITIONS) as on:
        (worker,) = on.fleet.workers(1)
        await until_shared(on.database, [worker.pid], PARTITIONS)
        parts = {
            "gateway": [on.fleet.processes[0].pid],
            "worker": [worker.pid],
            "kafka": [servers.broker_pid],
            "postgres": [servers.postgres.pid],
        }
        rounds = _Rounds(on, folder / "broker", parts)
        client = on.client
        idle_before = await rounds.look()
        await asyncio.sleep(_IDLE_S)
        idle = ((await rounds.look()).commits - idle_before.commits) / (_IDLE_S + _STATISTICS_S)
        await rounds.round(turns, lambda n, name: post_batches(client, n, 500, name))
        batch = await rounds.round(turns, lambda n, name: post_batches(client, n, 500, name))
        single = await rounds.round(turns // 4, lambda n, name: post_singles(client, n, 500, name))
        session = await rounds.round(turns // 10, lambda n, name: post_batches(client, n, 1, name))
        suspended = await _suspended_size_bytes(on, worker.pid, turns // 4)
    return Costs(
        gateway_us=batch.cpu_us["gateway"],
        single_gateway_us=single.cpu_us["gateway"],
        worker_us=batch.cpu_us["worker"],
        kafka_us=batch.cpu_us["kafka"],
        postgres_us=batch.cpu_us["postgres"],
        network_size_bytes=batch.grown.network,
        wal_size_bytes=batch.grown.wal,
        postgres_size_bytes=batch.grown.postgres,
        kafka_size_bytes=batch.grown.kafka,
        commits=batch.grown.commits,
        session_turns_s=session.turns_s,
        suspended_size_bytes=suspended,
        idle_commits_s=idle,
    )


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    """Print each cost, and what is computed from them."""
    found = await costs(servers, folder, is_quick)
    means = model.Means()
    findings = [Finding(f"measured: {name}", f"{value:,.2f}", "", None) for name, value in found._asdict().items()]
    for turns_s in model.RATES:
        for name, value in model.needs(found, turns_s, means)._asdict().items():
            if name != "turns_s":
                findings.append(Finding(f"computed, {turns_s:,} turns/s: {name}", f"{value:,.2f}", "", None))
    for what, turns_s_max in model.limits(found, means):
        findings.append(Finding(f"computed: the end of {what}", f"{turns_s_max:,.0f} turns/s", "", None))
    return findings

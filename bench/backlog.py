"""How fast a warm worker drains what came while it was stopped (SIGSTOP), for short backlogs and for a long one.

A rate covers the whole drain, from SIGCONT to the last durable end, with reading the log and accepting. The CPU that
worker and Postgres spend per turn says the same, and depends less on what else the machine does.
"""

import itertools
import signal
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from bench.bed import Bed, bed
from bench.cpu import CpuMeter
from bench.load import count_turns, post_batches, until_ended
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services
from tests.harness.processes import Managed

PARTITIONS = 12
SESSIONS = 500
_SHORT, _MIDDLE = 1_000, 10_000
_PARTS = 5
_IN_GROUP_S = 45.0  # the session time-out of the group: longer than the worker is ever stopped
# When each fraction in $2 of the turns that ended after $1 had ended.
_ENDED_AT = """
SELECT unnest(percentile_disc($2::float8[]) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at)::float8)) AS at
FROM argosy.turns WHERE ended_at > to_timestamp($1)
"""


class Drained(NamedTuple):
    """The result of one drain. rate: turns/s; cpu_us: of worker and Postgres, per turn."""

    turns: int
    rate: float
    cpu_us: float


async def _drain(on: Bed, servers: Services, worker: Managed, turns: int, name: str) -> Drained:
    meter = CpuMeter(lambda: {"worker": [worker.pid], "postgres": [servers.postgres.pid]})
    total = await count_turns(on.database) + turns
    worker.send(signal.SIGSTOP)
    try:
        await post_batches(on.client, turns, SESSIONS, name)
    finally:
        meter.start()
        began_s = time.time()
        worker.send(signal.SIGCONT)
    await until_ended(on.database, total)
    cpu_us = sum(meter.spent_s().values()) / turns * 1e6
    shares = [part / _PARTS for part in range(1, _PARTS + 1)]
    at = [began_s, *(row["at"] for row in await on.database.fetch(_ENDED_AT, began_s, shares))]
    fifths = [turns / _PARTS / max(0.001, later - earlier) for earlier, later in itertools.pairwise(at)]
    rate = turns / (at[-1] - began_s)
    shown = ", ".join(f"{each:.0f}" for each in fifths)
    print(f"  {turns}: {rate:.0f}/s; by fifths {shown}; {cpu_us:.0f} µs of CPU a turn", flush=True)
    return Drained(turns, rate, cpu_us)


def _against(long: Drained, others: list[Drained]) -> list[Finding]:
    rate = statistics.median(each.rate for each in others)
    cpu_us = statistics.median(each.cpu_us for each in others)
    title = f"drain of {long.turns} turns against {others[0].turns}, {len(others)} times"
    shown_rate = f"{long.rate / rate:.2f} ({long.rate:.0f}/s against {rate:.0f}/s)"
    shown_cpu = f"{long.cpu_us / cpu_us:.2f} ({long.cpu_us:.0f} µs against {cpu_us:.0f} µs)"
    return [
        Finding(f"{title}: rate", shown_rate, "≥ 0.90", long.rate / rate >= 0.9),
        Finding(f"{title}: CPU a turn", shown_cpu, "≤ 1.10", long.cpu_us / cpu_us <= 1.1),
    ]


async def measure(servers: Services, folder: Path, turns: int) -> list[Finding]:
    async with bed(servers, folder, "backlog", PARTITIONS, eligible_s=_IN_GROUP_S) as on:
        worker = on.fleet.worker()
        await until_shared(on.database, [worker.pid], PARTITIONS)
        await post_batches(on.client, 20_000, SESSIONS, "warm")
        await until_ended(on.database, 20_000)
        short = [await _drain(on, servers, worker, _SHORT, f"before-{number}") for number in range(6)]
        middle = [await _drain(on, servers, worker, _MIDDLE, f"middle-before-{number}") for number in range(2)]
        long = await _drain(on, servers, worker, turns, "long")
        middle += [await _drain(on, servers, worker, _MIDDLE, f"middle-after-{number}") for number in range(2)]
        short += [await _drain(on, servers, worker, _SHORT, f"after-{number}") for number in range(6)]
    return [*_against(long, short), *_against(long, middle)]

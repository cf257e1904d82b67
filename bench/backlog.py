"""How fast a warm worker drains what came while it stood still (SIGSTOP), for a short backlog and for a long one."""

import signal
import statistics
from pathlib import Path

from bench.bed import Bed, bed
from bench.load import count_turns, post_batches, until_ended
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services
from tests.harness.processes import Managed

PARTITIONS = 12
SESSIONS = 500
_SHORT = 1_000
_HELD_UP_S = 45.0  # in the group for as long as the worker stands still


async def _drain_rate(on: Bed, worker: Managed, turns: int, name: str) -> float:
    """Turns a second between the first tenth of the ends and the last."""
    total = await count_turns(on.database) + turns
    began_at = await on.database.fetchval("SELECT now()")
    worker.send(signal.SIGSTOP)
    try:
        await post_batches(on.client, turns, SESSIONS, name)
    finally:
        worker.send(signal.SIGCONT)
    await until_ended(on.database, total)
    low, high = await on.database.fetchrow(
        "SELECT extract(epoch FROM percentile_disc(0.1) WITHIN GROUP (ORDER BY ended_at))::float8,"
        "       extract(epoch FROM percentile_disc(0.9) WITHIN GROUP (ORDER BY ended_at))::float8"
        " FROM argosy.turns WHERE ended_at > $1",
        began_at,
    )
    return float(0.8 * turns / (high - low))


async def measure(servers: Services, folder: Path, turns: int) -> list[Finding]:
    async with bed(servers, folder, "backlog", PARTITIONS, eligible_s=_HELD_UP_S) as on:
        worker = on.fleet.worker()
        await until_shared(on.database, [worker.pid], PARTITIONS)
        await post_batches(on.client, 20_000, SESSIONS, "warm")
        await until_ended(on.database, 20_000)
        short = [await _drain_rate(on, worker, _SHORT, f"before{number}") for number in range(10)]
        long = await _drain_rate(on, worker, turns, "long")
        short += [await _drain_rate(on, worker, _SHORT, f"after{number}") for number in range(10)]
    ratio = long / statistics.median(short)
    return [
        Finding(
            f"drain of {turns} turns against {_SHORT} (20 times)",
            f"{ratio:.2f} ({long:.0f}/s against {statistics.median(short):.0f}/s)",
            "≥ 0.90",
            ratio >= 0.9,
        )
    ]

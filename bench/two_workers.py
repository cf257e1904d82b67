"""Two fleets on the same servers, one with one worker and one with two: the same load, in alternating order."""

import asyncio
import statistics
from pathlib import Path

from bench.bed import Bed, bed
from bench.load import count_turns, post_batches, until_ended
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services

PARTITIONS = 12
_ORDER = (1, 2, 2, 1)


async def _rate(on: Bed, turns: int, name: str) -> float:
    total = await count_turns(on.database) + turns
    loop = asyncio.get_running_loop()
    started = loop.time()
    await post_batches(on.client, turns, 500, name)
    await until_ended(on.database, total)
    return turns / (loop.time() - started)


async def measure(servers: Services, folder: Path, turns: int, rounds: int) -> list[Finding]:
    async with (
        bed(servers, folder, "one_worker", PARTITIONS) as one,
        bed(servers, folder, "two_workers", PARTITIONS) as two,
    ):
        fleets = {1: one, 2: two}
        for count, on in fleets.items():
            workers = on.fleet.workers(count)
            await until_shared(on.database, [worker.pid for worker in workers], PARTITIONS)
            await _rate(on, turns, "warm")
        rates: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds):
            for position, count in enumerate(_ORDER):
                rates[count].append(await _rate(fleets[count], turns, f"run{number}-{position}"))
                print(f"  {count} worker{'s' * (count > 1)}: {rates[count][-1]:.0f}/s", flush=True)
    single, double = (statistics.median(rates[count]) for count in (1, 2))
    return [
        Finding(
            f"two workers against one, batch, {turns} turns, {2 * rounds} runs each",
            f"{double / single:.2f} ({double:.0f}/s against {single:.0f}/s)",
            "≥ 0.90",
            double / single >= 0.9,
        )
    ]

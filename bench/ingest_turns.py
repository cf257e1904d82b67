"""How much longer turns take while lines are ingested as fast as they go: phases without and with uploads, in turn.

Two uploads into one graph are always under way, so that there are always lines to apply, and never many that wait. The
turns use no graph. The next phase begins when every line is applied.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from bench.feed_lines import lines_of, nodes
from bench.ingest_fleet import IngestFleet, ingest_fleet
from bench.latency import completions, p50_p99_ms
from bench.report import Finding
from bench.services import Services

_LINES: Final = 50_000  # of an upload
_AT_ONCE: Final = 2
_UNDER_WAY_S: Final = 1.0
_WARM: Final = 300  # turns, until the broker and the workers cost the same from one to the next
_RATIO_MAX: Final = 2.0


class _Uploading:
    """Uploads for as long as the block lasts. lines_per_s: at which they were applied, once it is over."""

    def __init__(self, on: IngestFleet, body: bytes) -> None:
        self._on = on
        self._body = body
        self._lines = 0
        self._is_over = False
        self.lines_per_s = 0.0

    @contextlib.asynccontextmanager
    async def lasting(self) -> AsyncIterator[None]:
        began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._upload())
            await asyncio.sleep(_UNDER_WAY_S)
            yield
            self._is_over = True
        self.lines_per_s = self._lines / (time.perf_counter() - began_s)

    async def _upload(self) -> None:
        while not self._is_over:
            self._lines += await self._on.until_done(await self._on.upload("beside", self._body))


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    body = b"\n".join(lines_of(nodes(_LINES)))
    idle_s: list[float] = []
    beside_s: list[float] = []
    rates: list[float] = []
    async with ingest_fleet(servers, folder, "ingest_turns") as on:
        await asyncio.to_thread(on.bed.fleet.worker)
        client, database = on.bed.client, on.bed.database
        await completions(client, database, _WARM)
        for _ in range(2 if is_quick else 4):
            samples = 150 if is_quick else 250
            idle_s += (await completions(client, database, samples)).completed_s
            uploading = _Uploading(on, body)
            async with uploading.lasting():
                beside_s += (await completions(client, database, samples)).completed_s
            rates.append(uploading.lines_per_s)
    idle, beside = p50_p99_ms(idle_s), p50_p99_ms(beside_s)
    ratio = beside["p99_ms"] / idle["p99_ms"]
    rate = sum(rates) / len(rates)
    return [
        Finding.ms("a turn until its end is durable, nothing ingested", idle, None),
        Finding.ms(f"the same while {rate:,.0f} lines/s are ingested", beside, None),
        Finding("p99 while lines are ingested, of that without", f"{ratio:.1f}", "≤ 2", ratio <= _RATIO_MAX),
    ]

"""What graphs on a shard cost: calls, files, searches, and neighbours that ask too much."""

import asyncio
from pathlib import Path

from bench import graph_files, graph_hostile, graph_search, shard_calls
from bench.report import Finding
from bench.services import Services


async def measure(_: Services, folder: Path, is_quick: bool) -> list[Finding]:
    for name in ("calls", "files", "search", "hostile"):
        (folder / name).mkdir()
    return [
        *await shard_calls.measure(folder / "calls", is_quick=is_quick),
        *await graph_files.measure(folder / "files", is_quick=is_quick),
        *await asyncio.to_thread(graph_search.measure, folder / "search", is_quick=is_quick),
        *await graph_hostile.measure(folder / "hostile", is_quick=is_quick),
    ]

"""The most memory that each process of a large upload ever has: the gateway, the ingest worker, and the shard.

The upload is made as it is sent, and comes back to the same nodes again and again, so its graph stays small. Of the
shard, the process that writes counts: the views of graphs are processes of their own.
"""

import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from argosy.graph.ops import UpsertNode
from bench.feed_lines import blocks_of, lines_of
from bench.ingest_fleet import IngestFleet, ingest_fleet
from bench.report import Finding
from bench.services import Services

_SIZE_BYTES: Final = 5_000_000_000
_QUICK_SIZE_BYTES: Final = 200_000_000
_NODES: Final = 2_000
_WORDS: Final = 250  # of a node: 2 KB, which compress as texts do
_FOLDER_SHARE: Final = 4  # of what is free: the log keeps what is uploaded
_MEMORY_MB_MAX: Final = 150.0


def _blocks() -> list[bytes]:
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(3, 11))) for _ in range(5_000)]
    texts = (" ".join(chance.choices(words, k=_WORDS)) for _ in range(_NODES))
    return list(blocks_of(lines_of([UpsertNode(f"n{n}", "Text", {"text": text}) for n, text in enumerate(texts)])))


def _repeated(blocks: Sequence[bytes], times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield from blocks


def peak_mb(pid: int) -> float:
    """Return the most memory that a process ever had, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1_024 / 1e6
    raise ProcessLookupError(f"process {pid} says nothing of its memory")


def _processes(on: IngestFleet) -> dict[str, int]:
    return {
        "gateway": on.gateway.pid,
        "ingest worker": on.worker.pid,
        "shard": on.moving.shards["one"].process.pid,
    }


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    blocks = _blocks()
    once_bytes = sum(map(len, blocks))
    asked_bytes = _QUICK_SIZE_BYTES if is_quick else _SIZE_BYTES
    times = max(1, min(asked_bytes, shutil.disk_usage(folder).free // _FOLDER_SHARE) // once_bytes)
    size_bytes = times * once_bytes
    async with ingest_fleet(servers, folder, "ingest_memory") as on:
        await on.until_done(await on.upload("warm", blocks[0]))
        idle = {name: peak_mb(pid) for name, pid in _processes(on).items()}
        began_s = time.perf_counter()
        lines = await on.until_done(await on.upload("large", _repeated(blocks, times), size_bytes))
        elapsed_s = time.perf_counter() - began_s
        peak = {name: peak_mb(pid) for name, pid in _processes(on).items()}
    rate = f"{elapsed_s:.0f} s, {size_bytes / elapsed_s / 1e6:.0f} MB/s, {lines / elapsed_s:,.0f} lines/s"
    return [
        Finding(f"an upload of {size_bytes / 1e6:,.0f} MB is applied", rate, "", None),
        *(
            Finding(
                f"most memory of the {name} meanwhile",
                f"{most:.0f} MB (before {idle[name]:.0f})",
                f"< {_MEMORY_MB_MAX:.0f} MB",
                most < _MEMORY_MB_MAX,
            )
            for name, most in peak.items()
        ),
    ]

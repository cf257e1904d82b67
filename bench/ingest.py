"""What ingest costs: lines of feeds at a shard."""

from pathlib import Path

from bench import shard_feeds
from bench.report import Finding
from bench.services import Services


async def measure(_: Services, folder: Path, is_quick: bool) -> list[Finding]:
    (folder / "feeds").mkdir()
    return await shard_feeds.measure(folder / "feeds", is_quick=is_quick)

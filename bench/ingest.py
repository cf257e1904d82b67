"""What ingest costs: whole uploads through a gateway, the log, a worker and a shard, and lines of feeds at a shard."""

from pathlib import Path

from bench import ingest_memory, ingest_rates, ingest_turns, ingest_workers, shard_feeds
from bench.report import Finding
from bench.services import Services


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    (folder / "feeds").mkdir()
    return [
        *await ingest_rates.measure(servers, folder, is_quick),
        *await ingest_turns.measure(servers, folder, is_quick),
        *await ingest_memory.measure(servers, folder, is_quick),
        *await ingest_workers.measure(servers, folder, is_quick),
        *await shard_feeds.measure(folder / "feeds", is_quick=is_quick),
    ]

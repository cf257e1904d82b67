"""A fleet that ingests: a gateway, an ingest worker and shards, each a process of its own, on the bench's servers."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Final

from bench.bed import Bed, bed
from bench.services import Services
from bench.uploads import until_done, upload
from tests.harness.processes import Managed
from tests.moves.moving import Moving, opened

_WITHIN_S: Final = 1_800.0


class IngestFleet:
    """worker: the first ingest worker. moving: its shards, and one who asks for graphs without a gateway."""

    def __init__(self, servers: Services, made: Bed, moving: Moving, worker: Managed) -> None:
        self.bed = made
        self.moving = moving
        self.worker = worker
        self._servers = servers

    @property
    def gateway(self) -> Managed:
        return next(each for each in self.bed.fleet.processes if each.name == "gateway")

    def pids(self) -> dict[str, list[int]]:
        """Return the processes that take part, by what they are."""
        workers = [each.pid for each in self.bed.fleet.processes if each.name == "ingest-worker"]
        return {
            "gateway": [self.gateway.pid],
            "worker": workers,
            "shard": [each.process.pid for each in self.moving.shards.values()],
            "Kafka": [self._servers.broker_pid],
            "Postgres": [self._servers.postgres.pid],
            "load": [os.getpid()],
        }

    async def upload(self, graph: str, body: bytes | Iterable[bytes], size_bytes: int | None = None) -> str:
        """Send lines; return their job once the log has them."""
        return await upload(self.bed.fleet.port, graph, body, size_bytes)

    async def until_done(self, job_id: str) -> int:
        """Return how many lines were applied, once all were."""
        return await until_done(self.bed.client, job_id, _WITHIN_S)


@contextlib.asynccontextmanager
async def ingest_fleet(
    servers: Services, folder: Path, name: str, shards: Sequence[str] = ("one",), **settings: str
) -> AsyncIterator[IngestFleet]:
    """Start it with one ingest worker and these shards; stop all of it at the end."""
    async with (
        bed(servers, folder, name, 1, eligible_s=2.0, **settings) as made,
        opened(made.fleet, made.folder) as moving,
    ):
        await moving.seed(*shards)
        worker = await asyncio.to_thread(made.fleet.ingest_worker)
        yield IngestFleet(servers, made, moving, worker)

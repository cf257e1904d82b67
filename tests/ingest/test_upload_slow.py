"""Uploads through gateways that are killed, and one that is larger than the memory of all processes together."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy import AsyncClient
from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_ONLY
from tests.ingest.hand import nodes

pytestmark = pytest.mark.slow

LINES = nodes(30_000)


@pytest.mark.parametrize("point", ["upload_begun", "upload_appended", "upload_appended:3", "upload_ended"])
async def test_an_upload_outlives_the_gateway_that_takes_it(idle_fleet: Fleet, tmp_path: Path, point: str) -> None:
    await asyncio.to_thread(idle_fleet.ingest_worker)
    first = await asyncio.to_thread(lambda: idle_fleet.gateway(ARGOSY_CRASH_AT=point, INGEST_RECORD_SIZE_BYTES="65536"))
    file = tmp_path / "things.ndjson"
    file.write_bytes(b"\n".join(LINES))

    async with AsyncClient(idle_fleet.url, retry_s=60) as client:
        upload = asyncio.create_task(client.ingest("things", file))
        await asyncio.to_thread(first.wait_dead, 60)
        await asyncio.to_thread(idle_fleet.gateway)
        job = await (await upload).wait(timeout_s=120)

    assert (job.status, job.lines, job.applied, job.rejected) == ("done", len(LINES), len(LINES), 0)


@KAFKA_ONLY
async def test_a_million_bad_lines_are_counted_and_few_of_them_kept(idle_fleet: Fleet) -> None:
    await asyncio.to_thread(lambda: (idle_fleet.gateway(), idle_fleet.ingest_worker(INGEST_REJECTS_MAX="100")))

    async with AsyncClient(idle_fleet.url) as client:
        handle = await client.ingest("things", b"no json\n" * 1_000_000 + b"\n".join(nodes(10)))
        job = await handle.wait(timeout_s=170)
        kept = [each.line async for each in handle.rejects()]

    assert (job.lines, job.applied, job.rejected) == (1_000_010, 10, 1_000_000)
    assert 0 < len(kept) <= 100
    assert len(set(kept)) == len(kept)


@KAFKA_ONLY
@pytest.mark.timeout(900)
async def test_an_upload_of_any_size_costs_a_gateway_no_memory(idle_fleet: Fleet) -> None:
    """1 GB; what the process has at its most does not depend on how much comes."""
    gateway = await asyncio.to_thread(idle_fleet.gateway)
    block = b"\n".join(nodes(10_000)) + b"\n"

    def blocks() -> Iterator[bytes]:
        for _ in range(1_000_000_000 // len(block)):
            yield block

    async with AsyncClient(idle_fleet.url) as client:
        await client.request("POST", "/v1/graphs", content=b'{"graph": "things"}')
        small = peak_bytes(gateway.pid)
        job = await (await client.ingest("things", blocks())).get()

    assert job.received_bytes > 990_000_000
    assert peak_bytes(gateway.pid) < 150_000_000, small


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

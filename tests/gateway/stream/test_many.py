"""What open streams cost a gateway."""

import asyncio

import httpx2
import psutil
import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch
from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet

STREAMS = 2_000
IDLE_SIZE_BYTES_MAX = 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize("log_name", ["postgres"])
async def test_two_thousand_idle_streams_cost_less_than_100_mb(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    fleet = idle_fleet
    fleet.start(1)
    turn_id = await client.post("held", "holds", effects=3, until=latch.path)
    process = psutil.Process(fleet.processes[0].pid)
    before_bytes = process.memory_info().rss
    writers: list[asyncio.StreamWriter] = []

    async def open_one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", fleet.port)
        writer.write(
            f"GET /v1/turns/{turn_id}/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n".encode()
        )
        writers.append(writer)
        await asyncio.wait_for(reader.readuntil(b"turn.started"), 30)

    for _ in range(0, STREAMS, 50):
        await asyncio.gather(*(open_one() for _ in range(50)))
    async with httpx2.AsyncClient() as other:
        metrics = (await other.get(f"{fleet.url}/metrics")).text
    after_bytes = process.memory_info().rss
    for writer in writers:
        writer.close()
    latch.release()

    assert f"argosy_gateway_streams {STREAMS:.1f}" in metrics
    print(f"{STREAMS} streams: {(after_bytes - before_bytes) / 1e6:.1f} MB")
    assert after_bytes - before_bytes < IDLE_SIZE_BYTES_MAX

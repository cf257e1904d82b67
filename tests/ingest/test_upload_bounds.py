"""What would cost a gateway its memory, over HTTP: it costs none, and who sends it is told what is wrong."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from argosy import AsyncClient
from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_FIRST
from tests.ingest.hand import node
from tests.ingest.test_upload_slow import peak_bytes

pytestmark = pytest.mark.slow

BEGIN, END = b'{"op": "upsert_node", "id": "', b'"}'
LARGE_BYTES = 50_000_000
MORE_BYTES_MAX = 40_000_000  # that a process may have at its most beyond what it had before; less than one such line
BLOCK_BYTES = 1_000_000
MEMBER_BYTES = 67_108_864
INGEST = "/v1/graphs/things/ingest"


async def with_a_large_line() -> AsyncIterator[bytes]:
    yield node(1) + b"\n" + BEGIN
    for _ in range(LARGE_BYTES // BLOCK_BYTES):
        yield b"x" * BLOCK_BYTES
    yield END + b"\n" + node(2)


@KAFKA_FIRST
async def test_a_line_of_50_mb_is_rejected_alone_and_costs_no_memory(idle_fleet: Fleet) -> None:
    gateway, worker = idle_fleet.begin_gateway(), idle_fleet.begin_ingest_worker()
    for each in (gateway, worker):
        await asyncio.to_thread(each.wait_ready)

    async with AsyncClient(idle_fleet.url) as client, httpx2.AsyncClient(timeout=60, trust_env=False) as http:
        await (await client.ingest("things", [{"op": "nothing"}])).wait(timeout_s=60)
        before = {each.name: peak_bytes(each.pid) for each in (gateway, worker)}
        answer = await http.post(
            idle_fleet.url + INGEST, content=with_a_large_line(), headers={"content-type": "application/x-ndjson"}
        )
        assert answer.status_code == 202, answer.text
        handle = client.job(answer.json()["job_id"])
        job = await handle.wait(timeout_s=60)
        rejects = [each async for each in handle.rejects()]

    assert (job.status, job.lines, job.applied, job.rejected) == ("done", 3, 2, 1)
    [reject] = rejects
    size_bytes = len(BEGIN) + LARGE_BYTES + len(END)
    assert (reject.line, reject.reason) == (2, f"{size_bytes} bytes are too many for a line")
    assert reject.start.startswith(BEGIN.decode() + "xxx")
    assert {each.name: peak_bytes(each.pid) - before[each.name] < MORE_BYTES_MAX for each in (gateway, worker)} == {
        "gateway": True,
        "ingest-worker": True,
    }


@pytest.mark.parametrize("log_name", ["postgres"])
@pytest.mark.parametrize("filled_with", [b"x", b"\n", b'{"op": "nothing"}\n'], ids=["one line", "empty lines", "lines"])
async def test_a_bomb_of_gzip_is_refused_and_costs_no_memory(
    idle_fleet: Fleet, tmp_path: Path, filled_with: bytes
) -> None:
    """A megabyte of it would be a gigabyte. What comes next is taken as ever."""
    gateway = await asyncio.to_thread(lambda: idle_fleet.gateway(ALLOW_TENANT_HEADER="true"))
    member = gzip.compress(filled_with * (MEMBER_BYTES // len(filled_with)))
    bomb = member * 16
    assert len(bomb) < BLOCK_BYTES * 3
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip", "idempotency-key": "bomb"}

    async with AsyncClient(idle_fleet.url) as client, httpx2.AsyncClient(timeout=60, trust_env=False) as http:
        await client.ingest("things", [{"op": "nothing"}])
        before = peak_bytes(gateway.pid)
        answer = await http.post(idle_fleet.url + INGEST, content=bomb, headers=headers)
        after = peak_bytes(gateway.pid)
        [job] = (await http.get(idle_fleet.url + INGEST, params={"key": "bomb"})).json()["jobs"]
        good = await http.post(
            idle_fleet.url + INGEST, content=gzip.compress(node(1)), headers=headers | {"idempotency-key": "good"}
        )

    told = json.loads(answer.content)
    assert (answer.status_code, told["code"], told["retryable"]) == (400, "invalid_gzip", False)
    assert "more than 200 times as large as it was sent" in told["detail"]
    assert after - before < MORE_BYTES_MAX
    assert (job["is_uploaded"], job["lines"], job["job_id"]) == (False, None, told["job_id"])
    assert (good.status_code, good.json()["lines"]) == (202, 1)

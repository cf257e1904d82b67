"""The client's upload, a gateway, the log, an ingest worker and a shard: real processes, from a file to a query."""

import asyncio
import contextlib
import gzip
import json
from pathlib import Path

import pytest

from argosy import AsyncClient
from argosy.client import ProblemError
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.ingest.hand import nodes

DOCUMENT = {"op": "document", "id": "voyage", "text": "The ship sails.\n\nThe crew sings.", "metadata": {"year": 1900}}


@BOTH_IN_FAULTS
async def test_what_a_client_uploads_is_asked_for_once_its_job_is_done(idle_fleet: Fleet, tmp_path: Path) -> None:
    await asyncio.to_thread(lambda: (idle_fleet.gateway(), idle_fleet.ingest_worker()))
    lines = [*nodes(2_000), b"no json", b'{"op": "nothing"}']
    file = tmp_path / "things.ndjson.gz"
    file.write_bytes(gzip.compress(b"\n".join(lines)))

    async with AsyncClient(idle_fleet.url) as client:
        first = await client.ingest("things", file, key="k")
        job = await first.wait(timeout_s=60)
        again = await client.ingest("things", file, key="k")
        events = [each async for each in first.events()]
        rejects = [(each.line, each.start) async for each in first.rejects()]
        text = await client.ingest("things", [DOCUMENT])
        await text.wait(timeout_s=60)
        count = {"cypher": "MATCH (n) RETURN count(n)"}
        found = await client.request("POST", "/v1/graphs/things/query", content=json.dumps(count).encode())
        hits = await client.request("POST", "/v1/graphs/things/search", content=b'{"text": "crew sings"}')

        assert (job.status, job.lines, job.applied, job.rejected) == ("done", 2_002, 2_000, 2)
        assert again.job_id == first.job_id
        assert [each.type for each in events if each.type != "job.progress"][-1] == "job.done"
        assert rejects == [(2_001, "no json"), (2_002, '{"op": "nothing"}')]
        assert found["rows"] == [[2_000 + 2]]
        assert hits["hits"][0]["node"]["id"].startswith("voyage")

        gone = await client.ingest("things", [{"op": "delete_node", "id": f"n{number}"} for number in range(5)])
        await gone.wait(timeout_s=60)
        await (await client.ingest("things", file, key="k")).wait(timeout_s=60)
        after = await client.request("POST", "/v1/graphs/things/query", content=json.dumps(count).encode())
        assert after["rows"] == [[2_000 + 2 - 5]]

        with pytest.raises(ProblemError, match="idempotency_mismatch"):
            await client.ingest("things", b"{}\n", key="k")
        with pytest.raises(ProblemError, match="job_ended"):
            await first.cancel()
        assert [each.job_id for each in await client.jobs("things")] == [gone.job_id, text.job_id, first.job_id]


@pytest.mark.slow
@pytest.mark.parametrize("log_name", ["postgres"])
async def test_a_command_that_is_killed_and_given_again_goes_on_and_nothing_is_applied_twice(
    idle_fleet: Fleet, tmp_path: Path
) -> None:
    await asyncio.to_thread(lambda: (idle_fleet.gateway(), idle_fleet.ingest_worker()))
    file = tmp_path / "things.ndjson"
    file.write_bytes(b"\n".join(nodes(400_000)))
    words = ("graph", "ingest", "things", str(file), "--url", idle_fleet.url)

    killed = idle_fleet.start_process("ingest", list(words), 0, {})
    async with AsyncClient(idle_fleet.url) as client:
        await _until_received(client, 10_000)
        killed.kill()
        code, said = await asyncio.to_thread(lambda: idle_fleet.run(*words, within_s=170))
        [job] = await client.jobs("things")

    assert code == 0, said
    assert (job.status, job.lines, job.applied, job.rejected) == ("done", 400_000, 400_000, 0)


async def _until_received(client: AsyncClient, line: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(ProblemError):
                if [each for each in await client.jobs("things") if each.received_lines >= line]:
                    return
            await asyncio.sleep(0.05)

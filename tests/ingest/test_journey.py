"""An upload from its POST to the graph that has it, through a gateway, the log, a worker and a shard."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.ingest.hand import nodes

LINES = [*nodes(200), b"no json", b'{"op": "document", "id": "d1", "text": "The cat sat on the mat.", "metadata": {}}']


async def until_ended(client: Client, job_id: str, within_s: float = 60.0) -> dict[str, Any]:
    until_s = time.monotonic() + within_s
    while (job := (await client.request("GET", f"/v1/ingest/{job_id}")).json())["status"] == "running":
        assert time.monotonic() < until_s, job
        await asyncio.sleep(0.05)
    return dict(job)


async def posted(client: Client, graph: str, lines: list[bytes], key: str) -> dict[str, Any]:
    reply = await client.request(
        "POST",
        f"/v1/graphs/{graph}/ingest",
        b"\n".join(lines).decode(),
        content_type="application/x-ndjson",
        idempotency_key=key,
    )
    assert reply.status_code in (200, 202), reply.text
    return dict(reply.json())


@BOTH_IN_FAULTS
async def test_what_is_uploaded_is_found(idle_fleet: Fleet, client: Client) -> None:
    gateway, worker = idle_fleet.begin_gateway(), idle_fleet.begin_ingest_worker()
    await asyncio.to_thread(gateway.wait_ready)
    await asyncio.to_thread(worker.wait_ready)

    posts = [await posted(client, "crm", LINES, "one") for _ in range(2)]
    job = await until_ended(client, posts[0]["job_id"])
    rejects = await client.request("GET", f"/v1/ingest/{job['job_id']}/rejects")
    question = {"cypher": "MATCH (t:Thing) RETURN count(t), sum(t.n)"}
    found = await client.request("POST", "/v1/graphs/crm/query", json.dumps(question), content_type="application/json")

    assert {each["job_id"] for each in posts} == {job["job_id"]}
    assert (job["status"], job["applied"], job["rejected"], job["lines"]) == ("done", 201, 1, 202)
    assert [json.loads(each)["line"] for each in rejects.text.splitlines()] == [201]
    assert found.json()["rows"] == [[200, sum(range(200))]]


@pytest.mark.slow
async def test_a_tree_on_one_machine_has_a_worker_for_uploads(folder: Path) -> None:
    fleet = Fleet(folder, "", "", AGENT_DISPATCH_BACKEND="inline")
    try:
        await asyncio.to_thread(fleet.up)
        client = Client(fleet.url, None)  # type: ignore[arg-type]
        job = await posted(client, "crm", LINES, "one")

        assert (await until_ended(client, job["job_id"]))["applied"] == 201
        await client.close()
    finally:
        print(fleet.logs())
        fleet.stop()

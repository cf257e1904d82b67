"""Jobs as their tenants see them: listed, followed to the end, cancelled, and nobody else's."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from argosy.ingest.job import JobKind, JobState, bucket_of_graph, job_id_of, key_of_turn
from argosy.store.ingest import Jobs, NewJob
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.uploads import GONE, INGEST, NDJSON, graph_of, node, send, text_of
from tests.harness.same_tag import same_tag

LINES = [node(number) for number in range(10)]
NDJSON_STREAM = {"accept": "application/x-ndjson"}


@pytest.fixture(autouse=True)
async def docs(rows: Rows) -> AsyncIterator[None]:
    async with graph_of(rows):
        yield


@pytest.fixture
def jobs(client: httpx2.AsyncClient) -> Jobs:
    found: Jobs = client.state.jobs  # type: ignore[attr-defined]
    return found


async def upload(client: httpx2.AsyncClient, key: str = "k") -> str:
    answer = await client.post(INGEST, content=text_of(LINES), headers=NDJSON | {"idempotency-key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def messages(client: httpx2.AsyncClient, job_id: str, **headers: str) -> list[dict[str, Any]]:
    """The messages of a job's stream, to its end."""
    answer = await client.get(f"/v1/ingest/{job_id}/events", headers=NDJSON_STREAM | headers)
    return [json.loads(line) for line in answer.text.splitlines() if line]


def types(told: list[dict[str, Any]]) -> list[str]:
    return [each["type"] for each in told if each["type"] != "job.progress"]


async def test_jobs_are_listed_the_newest_first_page_by_page(client: httpx2.AsyncClient) -> None:
    ids = [await upload(client, key) for key in "abc"]

    first = (await client.get(INGEST, params={"limit": 2})).json()
    second = (await client.get(INGEST, params={"limit": 2, "cursor": first["next"]})).json()
    of_key = (await client.get(INGEST, params={"key": "b"})).json()
    of_no_key = (await client.get(INGEST, params={"key": "d"})).json()

    assert [each["job_id"] for each in (*first["jobs"], *second["jobs"])] == ids[::-1]
    assert second["next"] is None
    assert [each["job_id"] for each in of_key["jobs"]] == [ids[1]]
    assert of_no_key == {"jobs": [], "next": None}


async def test_a_jobs_events_are_a_page(client: httpx2.AsyncClient) -> None:
    job_id = await upload(client)

    page = (await client.get(f"/v1/ingest/{job_id}/events")).json()
    rest = (await client.get(f"/v1/ingest/{job_id}/events", params={"after": 1, "limit": 1})).json()

    assert [(each["seq"], each["type"]) for each in page["events"]] == [(1, "job.started"), (2, "job.uploaded")]
    assert page["events"][1]["data"] == {"lines": 10}
    assert (rest["events"], rest["next"]) == (page["events"][1:], 2)


async def test_a_stream_goes_on_until_the_job_has_ended(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    job_id = await upload(client)

    following = asyncio.create_task(messages(client, job_id))
    await asyncio.sleep(0)
    await jobs.end(uuid.UUID(job_id), JobState.FAILED, "expired", "too old")
    told = await following

    assert types(told) == ["job.started", "job.uploaded", "job.failed"]
    assert {each["job_id"] for each in told} == {job_id}
    assert told[-1]["data"]["code"] == "expired"


async def test_a_stream_shows_how_far_a_job_is(client: httpx2.AsyncClient) -> None:
    await send(client, INGEST, [text_of(LINES[:4]), GONE], **{"idempotency-key": "k"})
    [job] = (await client.get(INGEST)).json()["jobs"]

    following = asyncio.create_task(messages(client, job["job_id"]))
    await asyncio.sleep(0)
    await upload(client)
    await client.post(job["links"]["cancel"])
    progress = [each["data"] for each in await following if each["type"] == "job.progress"]

    assert progress[0]["received_lines"] in (4, 10)
    assert {"applied", "rejected", "rate_lines_s", "waits_for", "lines"} < set(progress[0])


async def test_a_stream_goes_on_behind_the_last_event_that_a_client_has(client: httpx2.AsyncClient) -> None:
    job_id = await upload(client)
    await client.post(f"/v1/ingest/{job_id}/cancel")
    told = [each for each in await messages(client, job_id) if each["type"] != "job.progress"]

    rest = await messages(client, job_id, **{"last-event-id": told[0]["id"]})
    nothing = await client.get(f"/v1/ingest/{job_id}/events", headers=NDJSON_STREAM | {"last-event-id": told[-1]["id"]})

    assert types(rest) == ["job.uploaded", "job.cancelled"]
    assert nothing.status_code == 204


async def test_a_jobs_events_are_the_same_at_a_gateway_that_did_not_take_the_upload(
    client: httpx2.AsyncClient, open_gateway: OpenGateway, jobs: Jobs
) -> None:
    other = await open_gateway()
    await send(client, INGEST, [text_of(LINES[:4]), GONE], **{"idempotency-key": "k"})
    [job] = (await client.get(INGEST)).json()["jobs"]
    job_id = job["job_id"]

    following = asyncio.create_task(messages(other, job_id))
    before = (await other.get(f"/v1/ingest/{job_id}/events")).json()
    await upload(client)
    await jobs.end(uuid.UUID(job_id), JobState.DONE)
    told = [each for each in await following if each["type"] != "job.progress"]
    page = (await other.get(f"/v1/ingest/{job_id}/events")).json()
    rest = await messages(other, job_id, **{"last-event-id": told[0]["id"]})

    assert [each["type"] for each in before["events"]] == ["job.started"]
    assert types(told) == ["job.started", "job.uploaded", "job.done"]
    assert page == (await client.get(f"/v1/ingest/{job_id}/events")).json()
    assert [each["id"] for each in page["events"]] == [each["id"] for each in told]
    assert [each["id"] for each in rest if each["type"] != "job.progress"] == [each["id"] for each in told[1:]]


async def test_a_turns_upload_shows_its_turn_and_no_clients_key_finds_it(
    client: httpx2.AsyncClient, jobs: Jobs, rows: Rows
) -> None:
    turn_id = await rows.turn()
    its_key = f"{turn_id}/ingest:start"
    clients = await upload(client, its_key)
    incarnation = await rows.connection.fetchval("SELECT incarnation FROM graphs WHERE tenant = $1", rows.tenant)
    key = key_of_turn(turn_id, "ingest:start")
    job_id = job_id_of(rows.tenant, "docs", incarnation, key)
    new = NewJob(job_id, rows.tenant, "docs", incarnation, JobKind.UPLOAD, bucket_of_graph(rows.tenant, "docs"), key)
    await jobs.begin(new, "log")

    shown = (await client.get(f"/v1/ingest/{job_id}")).json()
    found = (await client.get(INGEST, params={"key": its_key})).json()["jobs"]
    refused = await client.get(INGEST, params={"key": key})

    assert shown["idempotency_key"] == its_key
    assert [each["job_id"] for each in found] == [clients]
    assert refused.json()["code"] == "invalid_parameter"


async def test_who_has_events_that_a_restored_database_lost_is_told_so(client: httpx2.AsyncClient) -> None:
    job_id = await upload(client)
    await client.post(f"/v1/ingest/{job_id}/cancel")
    lineage = (await client.get(f"/v1/ingest/{job_id}/events")).json()["events"][0]["id"].split("-")[0]

    for last in (f"{lineage}-7", f"{int(lineage) + 1}-2"):
        told = await messages(client, job_id, **{"last-event-id": last})
        assert types(told) == ["resync", "job.started", "job.uploaded", "job.cancelled"]


async def test_rejects_are_lines_with_their_reasons(client: httpx2.AsyncClient, rows: Rows) -> None:
    job_id = await upload(client)
    refused = [(uuid.UUID(job_id), line, "invalid_graph_input", "no JSON", b'{"\xff') for line in range(1, 1_502)]
    await rows.connection.executemany(
        "INSERT INTO ingest_rejects (job_id, line, code, reason, start) VALUES ($1, $2, $3, $4, $5)", refused
    )

    answer = await client.get(f"/v1/ingest/{job_id}/rejects")
    rest = await client.get(f"/v1/ingest/{job_id}/rejects", params={"after": 1_500})

    assert [json.loads(each)["line"] for each in answer.text.splitlines()] == list(range(1, 1_502))
    assert json.loads(rest.text) == {
        "line": 1_501,
        "partition": 0,
        "code": "invalid_graph_input",
        "reason": "no JSON",
        "start": '{"�',
    }


async def test_the_first_record_of_a_topic_is_a_reject_like_any_other(client: httpx2.AsyncClient, rows: Rows) -> None:
    """Its offset is 0."""
    job_id = await upload(client)
    refused = [(uuid.UUID(job_id), partition, offset) for partition in (0, 1) for offset in (0, 1)]
    await rows.connection.executemany(
        "INSERT INTO ingest_rejects (job_id, partition, line, code, reason, start) VALUES ($1, $2, $3, 'c', 'r', '')",
        refused,
    )

    async def listed(**params: int) -> list[tuple[int, int]]:
        answer = await client.get(f"/v1/ingest/{job_id}/rejects", params=params)
        return [(each["partition"], each["line"]) for each in map(json.loads, answer.text.splitlines())]

    assert await listed() == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert await listed(partition=1) == [(1, 0), (1, 1)]
    assert await listed(partition=0, after=0, limit=2) == [(0, 1), (1, 0)]


async def test_a_job_without_rejects_has_an_empty_list(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"/v1/ingest/{await upload(client)}/rejects")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_job_that_has_ended_otherwise_is_not_cancelled(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    job_id = await upload(client)
    await jobs.end(uuid.UUID(job_id), JobState.DONE)

    answer = await client.post(f"/v1/ingest/{job_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "job_ended")
    assert (await client.get(f"/v1/ingest/{job_id}")).json()["status"] == "done"


async def test_another_tenants_job_is_nobodys_in_every_route(client: httpx2.AsyncClient, tenant: str) -> None:
    job_id = await upload(client)
    paths = client._transport.app.openapi()["paths"]  # type: ignore[attr-defined]
    asked = 0

    for stranger in (f"stranger-{uuid.uuid4().hex[:8]}", same_tag(tenant)):
        for path, methods in paths.items():
            if not path.startswith("/v1/ingest"):
                continue
            for method in methods:
                answer = await client.request(method, path.format(job_id=job_id), headers={"x-argosy-tenant": stranger})
                assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
                asked += 1
        listed = await client.get(INGEST, headers={"x-argosy-tenant": stranger})
        assert listed.json()["jobs"] == []

    assert asked == 2 * 4
    assert (await client.get(f"/v1/ingest/{job_id}")).json()["status"] == "running"


async def test_what_is_no_id_is_refused(client: httpx2.AsyncClient) -> None:
    for text in ("x", "0", "ffffffff-ffff-ffff-ffff-ffffffffffff0"):
        answer = await client.get(f"/v1/ingest/{text}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_id")


async def test_a_job_says_that_no_worker_runs(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    job_id = await upload(client)

    alone = (await client.get(f"/v1/ingest/{job_id}")).json()["waits_for"]
    connection = await asyncpg.connect(gateway_dsn, server_settings={"search_path": "argosy"})
    worker = uuid.uuid4()
    number = await connection.fetchval(
        "INSERT INTO workers (worker_id, lane, kind, build, host, pid, address, metrics_port, slots)"
        " VALUES ($1, '*ingest', 'ingest', '', '', 1, '', 0, 0) RETURNING worker_no",
        worker,
    )
    await connection.execute("SELECT pg_advisory_lock(worker_lock($1))", number)
    beside = (await client.get(f"/v1/ingest/{job_id}")).json()["waits_for"]
    listed = (await client.get(INGEST)).json()["jobs"][0]["waits_for"]
    await connection.close()
    after = (await client.get(INGEST)).json()["jobs"][0]["waits_for"]

    assert (alone, beside, listed, after) == ("worker", "", "", "worker")

"""Uploads into graphs: what the log has of them, and what becomes of one that comes twice, otherwise, or in parts."""

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator

import httpx2
import pytest

from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.record import LinesRecord
from argosy.log import Outcome
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.stubborn_writer import StubbornWriter
from tests.gateway.uploads import GONE, INGEST, NDJSON, ends_of, graph_of, lines_of, node, records_of, send, text_of

LINES = [node(number) for number in range(1_000)]
NUMBERED = dict(enumerate(LINES, 1))
KEY = {"idempotency-key": "k"}


@pytest.fixture(autouse=True)
async def docs(rows: Rows) -> AsyncIterator[None]:
    async with graph_of(rows):
        yield


async def post(client: httpx2.AsyncClient, content: bytes, path: str = INGEST, **headers: str) -> httpx2.Response:
    return await client.post(path, content=content, headers=NDJSON | headers)


async def test_an_upload_is_in_the_log_line_by_line_once_it_is_answered(
    client: httpx2.AsyncClient, gateway_dsn: str
) -> None:
    answer = await post(client, text_of(LINES))
    job = answer.json()
    records = await records_of(gateway_dsn, job["job_id"])

    assert answer.status_code == 202, answer.text
    assert (job["graph"], job["status"], job["is_uploaded"], job["lines"]) == ("docs", "running", True, 1_000)
    assert (job["received_lines"], job["received_bytes"]) == (1_000, len(text_of(LINES)))
    assert job["chain"] == chain_of(EMPTY, LINES).hex()
    assert lines_of(records) == NUMBERED
    assert [(each.line_count, each.chain) for each in ends_of(records)] == [(1_000, chain_of(EMPTY, LINES))]
    assert (await client.get(job["links"]["self"])).json() == job


async def test_lines_are_collected_into_records_that_go_on_from_each_other(
    open_gateway: OpenGateway, gateway_dsn: str
) -> None:
    client = await open_gateway(ingest_record_size_bytes=16_384)

    job = (await post(client, text_of(LINES))).json()
    records = [each for each in await records_of(gateway_dsn, job["job_id"]) if isinstance(each, LinesRecord)]

    assert len(records) > 2
    assert all(len(each.lines) < 17_000 for each in records)
    at = 1
    for each in records:
        assert (each.first_line, each.before) == (at, chain_of(EMPTY, LINES[: at - 1]))
        at = each.end_line
    assert lines_of(records) == NUMBERED


async def test_what_comes_again_under_its_key_is_the_same_job_and_goes_into_the_log_once(
    client: httpx2.AsyncClient, gateway_dsn: str
) -> None:
    first, again = [(await post(client, text_of(LINES), **KEY)).json() for _ in range(2)]

    assert again == first
    assert len(await records_of(gateway_dsn, first["job_id"])) == 2


async def test_without_a_key_it_is_another_job(client: httpx2.AsyncClient) -> None:
    first, again = [(await post(client, b"{}\n")).json() for _ in range(2)]
    assert first["job_id"] != again["job_id"]


async def test_something_else_under_the_same_key_is_refused_and_leaves_the_log_alone(
    client: httpx2.AsyncClient, gateway_dsn: str
) -> None:
    job = (await post(client, text_of(LINES), **KEY)).json()

    for other in ([node("other"), *LINES[1:]], LINES[:-1], [*LINES, node("more")], []):
        refused = await post(client, text_of(other), **KEY)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
        assert refused.json()["job_id"] == job["job_id"]

    assert lines_of(await records_of(gateway_dsn, job["job_id"])) == NUMBERED
    assert (await client.get(job["links"]["self"])).json() == job


async def test_the_same_upload_through_two_gateways_at_once_is_one_job(
    open_gateway: OpenGateway, gateway_dsn: str
) -> None:
    clients = [await open_gateway(ingest_record_size_bytes=size) for size in (16_384, 20_000)]

    answers = await asyncio.gather(*(post(each, text_of(LINES), **KEY) for each in clients))
    [job] = {each.json()["job_id"] for each in answers}
    records = await records_of(gateway_dsn, job)

    assert [each.status_code for each in answers] == [202, 202]
    assert lines_of(records) == NUMBERED
    assert {(each.line_count, each.chain) for each in ends_of(records)} == {(1_000, chain_of(EMPTY, LINES))}


async def test_an_upload_whose_client_goes_leaves_a_job_that_goes_on_at_another_gateway(
    open_gateway: OpenGateway, gateway_dsn: str
) -> None:
    one, other = await open_gateway(), await open_gateway(ingest_record_size_bytes=16_384)

    assert await send(one, INGEST, [text_of(LINES[:400]), LINES[400][:10], GONE], **KEY) is None
    [job] = (await other.get(INGEST, params={"key": "k"})).json()["jobs"]
    behind = {"after_line": job["received_lines"], "chain": job["chain"]}
    answer = await other.post(INGEST, params=behind, content=text_of(LINES[400:]), headers=NDJSON | KEY)

    assert (job["status"], job["received_lines"], job["is_uploaded"], job["lines"]) == ("running", 400, False, None)
    assert job["chain"] == chain_of(EMPTY, LINES[:400]).hex()
    assert (answer.status_code, answer.json()["job_id"], answer.json()["is_uploaded"]) == (202, job["job_id"], True)
    assert answer.json()["received_bytes"] == len(text_of(LINES))
    assert lines_of(await records_of(gateway_dsn, job["job_id"])) == NUMBERED


async def test_an_upload_that_was_cut_off_may_also_come_as_a_whole_again(
    client: httpx2.AsyncClient, gateway_dsn: str
) -> None:
    await send(client, INGEST, [text_of(LINES[:400]), GONE], **KEY)

    job = (await post(client, text_of(LINES), **KEY)).json()
    records = await records_of(gateway_dsn, job["job_id"])

    assert lines_of(records) == NUMBERED
    assert sum(each.line_count for each in records if isinstance(each, LinesRecord)) == 1_000


async def test_who_goes_on_elsewhere_than_the_log_is_told_where_that_is(client: httpx2.AsyncClient) -> None:
    await send(client, INGEST, [text_of(LINES[:400]), GONE], **KEY)
    has = chain_of(EMPTY, LINES[:400]).hex()

    for line, chain in ((300, chain_of(EMPTY, LINES[:300]).hex()), (400, EMPTY.hex())):
        path = f"{INGEST}?after_line={line}&chain={chain}"
        answer = await post(client, text_of(LINES[line:]), path, **KEY)
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_moved")
        assert (answer.json()["received_lines"], answer.json()["chain"]) == (400, has)


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [(Outcome.NOT_APPENDED, 503, "log_unavailable"), (Outcome.UNKNOWN, 504, "outcome_unknown")],
)
async def test_what_the_log_does_not_take_is_answered_so_and_goes_on_from_what_it_has(
    client: httpx2.AsyncClient, gateway_dsn: str, outcome: Outcome, status: int, code: str
) -> None:
    await send(client, INGEST, [text_of(LINES[:400]), GONE], **KEY)
    opened = await client.state.ingest_log.opened()  # type: ignore[attr-defined]
    writer, opened.writer = opened.writer, StubbornWriter(opened.writer, outcome)

    refused = await post(client, text_of(LINES), **KEY)
    opened.writer = writer
    answer = await post(client, text_of(LINES), **KEY)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (refused.json()["received_lines"], refused.json()["job_id"]) == (400, answer.json()["job_id"])
    assert answer.status_code == 202
    assert lines_of(await records_of(gateway_dsn, answer.json()["job_id"])) == NUMBERED


async def test_gzip_is_taken_in_any_number_of_members(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    sent = gzip.compress(text_of(LINES[:500])) + gzip.compress(text_of(LINES[500:]))

    job = (await post(client, sent, **{"content-encoding": "gzip"})).json()

    assert (job["lines"], job["chain"]) == (1_000, chain_of(EMPTY, LINES).hex())


async def test_a_list_of_json_is_lines_too(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    ops = [json.loads(each) for each in LINES[:2]]

    for body in (ops, {"ops": ops}):
        sent = json.dumps(body, indent=1)
        answer = await client.post(INGEST, content=sent, headers={"content-type": "application/json"})
        lines = lines_of(await records_of(gateway_dsn, answer.json()["job_id"]))
        assert {number: json.loads(line) for number, line in lines.items()} == {1: ops[0], 2: ops[1]}


async def test_a_text_is_a_document(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    text = "﻿Sing, goddess,\nthe wrath…"

    answer = await client.post(f"{INGEST}?id=iliad", content=text.encode(), headers={"content-type": "text/plain"})
    lines = lines_of(await records_of(gateway_dsn, answer.json()["job_id"]))

    assert json.loads(lines[1]) == {"op": "document", "id": "iliad", "text": text[1:]}


async def test_a_job_that_was_cancelled_takes_nothing_more(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    await send(client, INGEST, [text_of(LINES[:400]), GONE], **KEY)
    [job] = (await client.get(INGEST)).json()["jobs"]

    cancelled = [await client.post(job["links"]["cancel"]) for _ in range(2)]
    answer = await post(client, text_of(LINES), **KEY)

    assert [each.status_code for each in cancelled] == [200, 200]
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert len(lines_of(await records_of(gateway_dsn, job["job_id"]))) == 400


async def test_an_upload_that_was_answered_may_come_again_after_a_longer_other_one_under_its_key(
    client: httpx2.AsyncClient,
) -> None:
    """Both began at the same time, and the longer one had been noted further when the shorter one ended."""
    other = await send(client, INGEST, [text_of(LINES[:400]), text_of([b"other"]), GONE], **KEY)
    assert other is None
    [job] = (await client.get(INGEST)).json()["jobs"]
    jobs = client.state.jobs  # type: ignore[attr-defined]
    opened = await client.state.ingest_log.opened()  # type: ignore[attr-defined]
    short, chain = LINES[:300], chain_of(EMPTY, LINES[:300])
    await jobs.note_received(uuid.UUID(job["job_id"]), opened.log_id, 300, chain, len(text_of(short)), is_end=True)

    again = await post(client, text_of(short), **KEY)
    different = await post(client, text_of([*LINES[:400], b"other"]), **KEY)

    assert (again.status_code, again.json()["lines"], again.json()["chain"]) == (202, 300, chain.hex())
    assert (different.status_code, different.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("is_ended", [False, True])
async def test_of_two_uploads_that_begin_alike_the_one_that_had_come_further_goes_on(
    client: httpx2.AsyncClient, gateway_dsn: str, is_ended: bool
) -> None:
    """The shorter one is refused before its end is in the log, behind lines that it does not have."""
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def shorter() -> AsyncIterator[bytes]:
        yield text_of(LINES[:100])
        has_begun.set()
        await may_end.wait()
        yield text_of(LINES[100:300])

    ending = asyncio.create_task(client.post(INGEST, content=shorter(), headers=NDJSON | KEY))
    await has_begun.wait()
    await send(client, INGEST, [text_of(LINES[:400]), *([] if is_ended else [GONE])], **KEY)
    may_end.set()
    refused = await ending

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
    again = await post(client, text_of(LINES[:400]), **KEY)
    assert (again.status_code, again.json()["lines"]) == (202, 400)
    records = await records_of(gateway_dsn, again.json()["job_id"])
    assert [each.line_count for each in ends_of(records)] == [400]
    assert lines_of(records) == dict(enumerate(LINES[:400], 1))

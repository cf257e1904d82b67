"""What cannot be ingested is refused with a reason, costs no memory, and leaves a job that can go on."""

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from argosy.gateway.problems import Problem
from argosy.ingest.job import key_of_turn
from argosy.ingest.oversized import oversized
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.uploads import GONE, INGEST, NDJSON, SILENT, graph_of, lines_of, node, records_of, send, text_of

LINES = [node(number) for number in range(100)]
KEY = {"idempotency-key": "k"}
GZIP = {"content-encoding": "gzip"}
JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
async def docs(rows: Rows) -> AsyncIterator[None]:
    async with graph_of(rows):
        yield


async def received(client: httpx2.AsyncClient) -> tuple[int, bool, str]:
    [job] = (await client.get(INGEST, params={"key": "k"})).json()["jobs"]
    return job["received_lines"], job["is_uploaded"], job["status"]


async def refusals(client: httpx2.AsyncClient, cases: list[tuple[str, dict[str, str], bytes]]) -> list[tuple[int, str]]:
    """How each of these uploads (query, headers, body) is refused."""
    answers = [
        await client.post(INGEST + query, content=body, headers=NDJSON | headers) for query, headers, body in cases
    ]
    return [(answer.status_code, answer.json().get("code")) for answer in answers]


async def test_what_is_no_upload_is_refused(client: httpx2.AsyncClient) -> None:
    cases = [
        ("", {"content-type": "text/csv"}, b"a,b\n"),
        ("", {"content-encoding": "br"}, b"{}\n"),
        ("", JSON, b"[{]"),
        ("", JSON, b'{"lines": []}'),
        ("", JSON, b"7"),
        ("", GZIP, b"{}\n"),
        ("", GZIP, b""),
        ("", {}, "{}\n".encode("utf-16")),
        ("", {}, "{}\n".encode("utf-32")),
        ("", {"idempotency-key": "two words"}, b"{}\n"),
        ("", {"idempotency-key": key_of_turn(uuid.UUID(int=1), "ingest:start")}, b"{}\n"),
    ]
    assert await refusals(client, cases) == [
        (415, "unsupported_media_type"),
        (415, "unsupported_media_type"),
        (400, "invalid_json"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (400, "invalid_gzip"),
        (400, "invalid_gzip"),
        (400, "invalid_encoding"),
        (400, "invalid_encoding"),
        (422, "invalid_request"),
        (422, "invalid_request"),
    ]


async def test_what_is_sent_in_a_way_that_nobody_reads_makes_no_job(client: httpx2.AsyncClient) -> None:
    for headers in ({"content-type": "text/csv"}, {"content-encoding": "br"}):
        await client.post(INGEST, content=b"{}\n", headers=NDJSON | headers)
    assert (await client.get(INGEST)).json()["jobs"] == []


async def test_parameters_that_make_no_sense_are_refused(client: httpx2.AsyncClient) -> None:
    zeros = "0" * 32
    queries = [
        "?after_line=1",
        f"?chain={zeros}",
        f"?after_line=1&chain={zeros}",
        "?id=a",
        "?after_line=-1&chain=x",
        "?what=1",
    ]
    refused = await refusals(client, [(query, {}, b"{}\n") for query in queries])
    assert refused == [(400, "invalid_parameter")] * len(queries)


async def test_a_text_that_is_no_document_is_refused(client: httpx2.AsyncClient) -> None:
    text = {"content-type": "text/plain"}
    cases = [
        ("", text, b"without an id"),
        ("?id=", text, b"an empty id"),
        ("?id=a", text, b"Latin-1: \xe9t\xe9"),
        ("?id=a", text, b"x" * 3_000_000),
        ("?id=a", text, b'"' * 1_500_000),  # too long as a line of JSON
    ]
    assert await refusals(client, cases) == [
        (400, "invalid_parameter"),
        (422, "invalid_graph_input"),
        (400, "invalid_encoding"),
        (413, "payload_too_large"),
        (413, "payload_too_large"),
    ]


async def test_a_gzip_that_is_cut_off_leaves_what_came_whole_and_no_end(client: httpx2.AsyncClient) -> None:
    whole = gzip.compress(text_of(LINES[:50])) + gzip.compress(text_of(LINES[50:]))

    answer = await client.post(INGEST, content=whole[:-10], headers=NDJSON | GZIP | KEY)
    line, is_uploaded, status = await received(client)
    again = await client.post(INGEST, content=whole, headers=NDJSON | GZIP | KEY)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_gzip")
    assert (is_uploaded, status, answer.json()["received_lines"]) == (False, "running", line)
    assert 50 <= line < 100
    assert (again.status_code, again.json()["lines"]) == (202, 100)


async def test_a_line_over_the_bound_is_marked_and_its_neighbours_are_not(
    open_gateway: OpenGateway, gateway_dsn: str
) -> None:
    client = await open_gateway(ingest_line_size_bytes_max=1_024)
    lines = [LINES[0], b"x" * 300_000, LINES[1]]

    job = (await client.post(INGEST, content=text_of(lines), headers=NDJSON)).json()
    taken = lines_of(await records_of(gateway_dsn, job["job_id"]))

    assert (taken[1], taken[3], len(taken)) == (LINES[0], LINES[1], 3)
    assert oversized(taken[2]) == (300_000, b"x" * 200)


async def test_what_a_line_says_is_its_own_matter_here(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    lines = [b"{", b"\xff\xfe", b"a\0b", b"", b'{"op": "no"}', LINES[0][:20]]

    job = (await client.post(INGEST, content=text_of(lines)[:-1], headers=NDJSON)).json()

    assert lines_of(await records_of(gateway_dsn, job["job_id"])) == dict(enumerate(lines, 1))


async def test_an_upload_over_its_bound_is_refused(open_gateway: OpenGateway) -> None:
    client = await open_gateway(ingest_upload_size_bytes_max=1_048_576)
    answer = await client.post(INGEST, content=b"x" * 1_100_000, headers=NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_a_client_that_says_nothing_is_let_go_and_what_it_sent_stays(open_gateway: OpenGateway) -> None:
    client = await open_gateway(ingest_silent_s=0.1)

    answer = await send(client, INGEST, [text_of(LINES), b'{"op"', SILENT], **KEY)

    assert answer is not None
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")
    assert await received(client) == (100, False, "running")


async def test_a_client_that_goes_before_it_sent_a_line_leaves_an_empty_job(client: httpx2.AsyncClient) -> None:
    assert await send(client, INGEST, [b'{"op"', GONE], **KEY) is None
    assert await received(client) == (0, False, "running")


async def test_more_uploads_than_may_be_are_refused(open_gateway: OpenGateway, tenant: str) -> None:
    client = await open_gateway(ingest_uploads_max=2, ingest_tenant_uploads_max=1, ingest_silent_s=30.0)
    other = {"x-argosy-tenant": f"{tenant}-2"}
    is_open = asyncio.Event()

    def parts() -> Iterator[Any]:
        yield LINES[0]
        is_open.set()
        yield SILENT

    first = asyncio.create_task(send(client, INGEST, parts()))
    await is_open.wait()

    mine = await client.post(INGEST, content=b"", headers=NDJSON)
    with client.state.uploads.opened("someone"):  # type: ignore[attr-defined]
        theirs = await client.post(INGEST, content=b"", headers=NDJSON | other)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    after = await client.post(INGEST, content=b"", headers=NDJSON)

    for refused in (mine, theirs):
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_uploads")
        assert refused.headers["retry-after"]
    assert after.status_code == 202


async def test_an_upload_ends_with_its_gateway_and_goes_on_at_another(
    client: httpx2.AsyncClient, open_gateway: OpenGateway
) -> None:
    client.state.uploads.drain()  # type: ignore[attr-defined]

    refused = await client.post(INGEST, content=b"{}\n", headers=NDJSON | KEY)
    answer = await (await open_gateway()).post(INGEST, content=b"{}\n", headers=NDJSON | KEY)

    assert (refused.status_code, refused.json()["retryable"]) == (503, True)
    assert answer.status_code == 202


async def test_a_fleet_whose_log_has_no_such_topic_says_what_makes_it(open_gateway: OpenGateway) -> None:
    client = await open_gateway(ingest_topic="nowhere")
    answer = await client.post(INGEST, content=b"{}\n", headers=NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert "argosy topics" in answer.json()["detail"]


async def test_an_upload_to_a_graph_that_cannot_be_is_refused(client: httpx2.AsyncClient) -> None:
    for name in ("%0A", "x" * 600):
        answer = await client.post(f"/v1/graphs/{name}/ingest", content=b"{}\n", headers=NDJSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_graph")


async def test_a_list_may_have_lines_that_are_anything(client: httpx2.AsyncClient, gateway_dsn: str) -> None:
    job = (await client.post(INGEST, content=json.dumps([1, None, "a\nb", {}], indent=1), headers=JSON)).json()
    assert list(lines_of(await records_of(gateway_dsn, job["job_id"])).values()) == [b"1", b"null", b'"a\\nb"', b"{}"]


async def test_what_is_read_as_a_whole_and_cannot_be_makes_neither_job_nor_graph(client: httpx2.AsyncClient) -> None:
    cases = [
        ("", JSON, b"[{]"),
        ("", JSON, b""),
        ("", JSON | GZIP, b"none"),
        ("?id=a", {"content-type": "text/plain"}, b"\xff"),
    ]

    for query, headers, body in cases:
        path = "/v1/graphs/another/ingest"
        answer = await client.post(path + query, content=body, headers=NDJSON | headers)
        assert answer.status_code == 400
    assert (await client.get("/v1/graphs/another")).status_code == 404
    assert (await client.get("/v1/graphs/another/ingest")).json()["jobs"] == []


async def test_uploads_that_are_read_as_a_whole_share_a_bound_of_memory(open_gateway: OpenGateway) -> None:
    client = await open_gateway(ingest_whole_size_bytes_max=1_048_576, ingest_tenant_whole_ratio_max=1.0)
    held = client.state.uploads  # type: ignore[attr-defined]
    members = b"[" + b",".join([b"0"] * 10_000) + b"]"

    with held.whole("other") as other:
        other.take(700_000)
        refused = await client.post(INGEST, content=members, headers=JSON)
        small = await client.post(INGEST, content=b"[" + LINES[0] + b"]", headers=JSON)
    alone = await client.post(INGEST, content=members, headers=JSON)
    large = await client.post(INGEST, content=b"[" + b",".join([b"0"] * 20_000) + b"]", headers=JSON)
    text = await client.post(f"{INGEST}?id=a", content=b"x" * 200_000, headers={"content-type": "text/plain"})
    lines = await client.post(INGEST, content=text_of(LINES) * 200, headers=NDJSON)

    answers = [(each.status_code, each.json().get("code")) for each in (refused, small, alone, large, text, lines)]
    assert answers == [
        (503, "too_many_uploads"),
        (202, ""),
        (202, ""),
        (413, "payload_too_large"),
        (413, "payload_too_large"),
        (202, ""),
    ]
    assert held.whole_size_bytes == {}


async def test_a_tenant_has_a_part_of_that_memory_and_leaves_the_rest_to_others(
    open_gateway: OpenGateway, tenant: str, rows: Rows
) -> None:
    client = await open_gateway(ingest_whole_size_bytes_max=1_048_576)
    held = client.state.uploads  # type: ignore[attr-defined]
    others = {"x-argosy-tenant": f"{tenant}-2"}
    members = b"[" + b",".join([b"0"] * 5_000) + b"]"  # some 380,000 bytes of memory
    text = f"{INGEST}?id=a", b"x" * 50_000, {"content-type": "text/plain"}

    with held.whole(tenant) as mine:
        mine.take(500_000)
        with held.whole(tenant) as more:
            more.take(24_288)  # all that is left of its part
            with pytest.raises(Problem, match="of this tenant"):
                more.take(1)
        refused = await client.post(INGEST, content=members, headers=JSON)
        refused_text = await client.post(text[0], content=text[1], headers=text[2])
        async with graph_of(Rows(rows.connection, others["x-argosy-tenant"])):
            of_another = await client.post(INGEST, content=members, headers=JSON | others)
    after = await client.post(INGEST, content=members, headers=JSON)
    large = await client.post(INGEST, content=b"[" + b",".join([b"0"] * 10_000) + b"]", headers=JSON)

    answers = [
        (each.status_code, each.json().get("code")) for each in (refused, refused_text, of_another, after, large)
    ]
    assert answers == [
        (503, "too_many_uploads"),
        (503, "too_many_uploads"),
        (202, ""),
        (202, ""),
        (413, "payload_too_large"),
    ]
    assert refused.headers["retry-after"]
    assert "of this tenant" in refused.json()["detail"]
    assert held.whole_size_bytes == {}

"""Uploads at a gateway that seals: what the log has of them, and of one that could not be sealed to its end."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from argosy.errors import StoreUnavailableError
from argosy.gateway.ingest import upload as module
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.record import LinesRecord, SealedLines
from argosy.seal.lines import sealed_lines
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.uploads import INGEST, NDJSON, ends_of, graph_of, node, records_of, text_of

WORD = b"swordfish"
LINES = [node(f"{WORD.decode()}-{number}") for number in range(1_000)]


@pytest.fixture(autouse=True)
async def docs(rows: Rows) -> AsyncIterator[None]:
    async with graph_of(rows):
        yield


@pytest.fixture
async def sealing(open_gateway: OpenGateway) -> httpx2.AsyncClient:
    return await open_gateway(payload_keys="11" * 32, ingest_record_size_bytes=16_384)


async def post(client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.post(INGEST, content=text_of(LINES), headers=NDJSON | {"idempotency-key": "k"})


async def in_log(dsn: str) -> bytes:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    rows = await connection.fetch("SELECT value FROM log_records")
    await connection.close()
    return b"".join(row["value"] for row in rows)


async def test_the_log_has_the_lines_sealed_and_says_how_many(sealing: httpx2.AsyncClient, gateway_dsn: str) -> None:
    answer = await post(sealing)
    records = await records_of(gateway_dsn, answer.json()["job_id"])

    assert answer.status_code == 202, answer.text
    lines = [each for each in records if isinstance(each, LinesRecord)]
    assert len(lines) > 2
    assert all(isinstance(each, SealedLines) for each in lines)
    assert sum(each.line_count for each in lines) == len(LINES)
    assert [each.chain for each in ends_of(records)] == [chain_of(EMPTY, LINES)]
    assert WORD not in await in_log(gateway_dsn)
    assert answer.json()["received_bytes"] == len(text_of(LINES))


async def test_behind_lines_that_could_not_be_sealed_nothing_is_in_the_log_until_they_come_again(
    sealing: httpx2.AsyncClient, gateway_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def away_once(*arguments: Any) -> LinesRecord:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise StoreUnavailableError("the keys are away")
        return await sealed_lines(*arguments)

    monkeypatch.setattr(module, "sealed_lines", away_once)
    refused = await post(sealing)
    job = (await sealing.get(f"{INGEST}?key=k")).json()["jobs"][0]
    first, *behind = await records_of(gateway_dsn, job["job_id"])
    again = await post(sealing)

    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable"), refused.text
    assert isinstance(first, LinesRecord)
    assert (behind, job["received_lines"], job["is_uploaded"]) == ([], first.line_count, False)
    assert again.status_code == 202, json.dumps(again.json())
    records = [each for each in await records_of(gateway_dsn, job["job_id"]) if isinstance(each, LinesRecord)]
    assert [each.first_line for each in records[1:]] == [each.end_line for each in records[:-1]]
    assert records[-1].end_line == len(LINES) + 1

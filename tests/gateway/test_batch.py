"""Many turns in one request: answered line by line, in order, within bounds."""

import json
import uuid
from typing import Any

import httpx2
import msgspec
import pytest

from argosy import record
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.stubborn_writer import ECHO, StubbornWriter, watch


async def test_a_batch_is_answered_line_by_line_in_order(client: httpx2.AsyncClient, rows: Rows) -> None:
    seen = watch(client)
    digest = await digest_of(client, seen, ECHO)
    known = await rows.turn("s", idempotency_key="known", request_digest=digest)
    seen.entries.clear()
    lines: list[bytes] = [
        json.dumps(ECHO | {"session": "s"}).encode(),
        b"",
        b'{"session": "s", "workflow": "nope"}\r',
        b"{broken",
        b'{"workflow": "echo"}',
        json.dumps(ECHO | {"session": "s", "idempotency_key": "known"}).encode(),
        json.dumps(ECHO | {"session": "s", "idempotency_key": "known", "priority": 1}).encode(),
        json.dumps(ECHO | {"session": "s" * 257}).encode(),
        json.dumps(ECHO | {"session": "s", "idempotency_key": "new"}).encode(),
    ]

    answer = await client.post("/v1/turns:batch", content=b"\n".join(lines))

    answers = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [(each["status"], each.get("code")) for each in answers] == [
        (202, None), (422, "unknown_workflow"), (400, "invalid_json"), (422, "invalid_request"), (202, None),
        (422, "idempotency_mismatch"), (422, "invalid_session"), (202, None),
    ]  # fmt: skip
    assert answers[4] == {"status": 202, "turn_id": str(known)}
    appended = [uuid.UUID(bytes=record.decode(entry.value).turn_id) for entry in seen.entries]
    assert [str(turn_id) for turn_id in appended] == [answers[0]["turn_id"], answers[7]["turn_id"]]


async def digest_of(client: httpx2.AsyncClient, seen: StubbornWriter, body: dict[str, Any]) -> bytes:
    await client.post("/v1/sessions/digest/turns", json=body, headers={"idempotency-key": "x"})
    return record.decode(seen.entries[-1].value).digest


async def test_a_large_batch_keeps_its_order(client: httpx2.AsyncClient) -> None:
    seen = watch(client)
    lines = [
        msgspec.json.encode({"session": f"s{number % 7}", "workflow": "echo", "input": number})
        for number in range(2_500)
    ]

    answer = await client.post("/v1/turns:batch", content=b"\n".join(lines), timeout=60)

    answers = [json.loads(line) for line in answer.text.splitlines()]
    inputs = [json.loads(record.decode(entry.value).input) for entry in seen.entries]
    assert inputs == list(range(2_500))
    assert [each["turn_id"] for each in answers] == [
        str(uuid.UUID(bytes=record.decode(entry.value).turn_id)) for entry in seen.entries
    ]


async def test_a_batch_over_its_bounds_is_refused_whole(open_gateway: OpenGateway) -> None:
    client = await open_gateway(batch_turns_max=3, batch_size_bytes_max=2_000, payload_size_bytes_max=1_024)
    seen = watch(client)
    line = json.dumps(ECHO | {"session": "s"}).encode()

    too_many = await client.post("/v1/turns:batch", content=b"\n".join([line] * 4))
    too_large = await client.post("/v1/turns:batch", content=line + b" " * 2_000)

    assert [(answer.status_code, answer.json()["code"]) for answer in (too_many, too_large)] == [
        (413, "payload_too_large")
    ] * 2
    assert seen.entries == []


@pytest.mark.parametrize("torn", ["\u0085", "\u2028", "\n", "\0", "x" * 100_000])
async def test_what_a_client_sent_does_not_tear_the_answer(client: httpx2.AsyncClient, torn: str) -> None:
    line = json.dumps({"workflow": "echo", "session": "s", torn: 1}).encode()

    answer = await client.post("/v1/turns:batch", content=line + b"\n" + line)

    assert [json.loads(each)["code"] for each in answer.text.splitlines()] == ["invalid_request"] * 2
    assert len(answer.content) < 3_000


async def test_an_empty_batch_is_nothing(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/turns:batch", content=b"\n\n")

    assert (answer.status_code, answer.content) == (200, b"")

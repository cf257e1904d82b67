"""Turns into the log: what is appended, and what is answered for each of the three outcomes."""

import asyncio
import json
import uuid

import httpx2
import pytest

from argosy import ids, record
from argosy.log import Outcome
from tests.gateway.rows import Rows
from tests.gateway.stubborn_writer import ECHO, watch


async def test_a_turn_is_in_the_log_when_it_is_accepted(client: httpx2.AsyncClient, rows: Rows, tenant: str) -> None:
    seen = watch(client)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = ECHO | {
        "on_busy": "reject", "priority": 5, "not_before": "2020-01-01T00:00:00+01:00", "deadline_s": 60,
        "tags": ["a", "ü"],
    }  # fmt: skip

    answer = await client.post("/v1/sessions/s%2F1/turns", json=body, headers={"traceparent": trace})

    (entry,) = seen.entries
    turn = record.decode(entry.value)
    turn_id = uuid.UUID(answer.json()["turn_id"])
    url = f"/v1/turns/{turn_id}"
    assert answer.status_code == 202
    assert answer.headers["location"] == url
    assert answer.json() == {
        "turn_id": str(turn_id), "session": "s/1", "status": "accepted",
        "links": {"self": url, "events": f"{url}/events", "explain": f"{url}/explain", "cancel": f"{url}/cancel"},
    }  # fmt: skip
    assert (turn.turn_id, turn.tenant, turn.lane, turn.session) == (turn_id.bytes, tenant, "default", "s/1")
    assert (turn.workflow, json.loads(turn.input), turn.on_busy, turn.priority) == (
        "echo",
        {"text": "hello"},
        "reject",
        5,
    )
    assert (turn.not_before_ms, turn.deadline_s, json.loads(turn.tags)) == (1_577_833_200_000, 60.0, ["a", "ü"])
    assert (turn.idempotency_key, turn.digest) == ("", b"")
    session_id = ids.session_id_of(tenant, "default", "s/1")
    assert entry.key == session_id.bytes
    assert entry.partition == ids.partition_of(ids.bucket_of(session_id), 64)
    assert entry.headers == (("traceparent", trace.encode()),)
    assert ids.can_be_of(turn_id, tenant, "default")


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [(Outcome.NOT_APPENDED, 503, "log_unavailable"), (Outcome.UNKNOWN, 504, "outcome_unknown")],
)
async def test_a_turn_that_is_not_surely_in_the_log_is_no_202(
    client: httpx2.AsyncClient, outcome: Outcome, status: int, code: str
) -> None:
    watch(client, outcome)

    answer = await client.post("/v1/sessions/s/turns", json=ECHO)

    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (status, code, True)
    assert answer.headers["retry-after"] == "1"


async def test_a_key_that_was_used_before_is_the_same_turn(client: httpx2.AsyncClient, rows: Rows) -> None:
    seen = watch(client)
    key = {"idempotency-key": "k"}
    first = await client.post("/v1/sessions/s/turns", content=b'{"workflow":"echo","input":{"a":1,"b":2}}', headers=key)
    digest = record.decode(seen.entries[0].value).digest
    turn_id = uuid.UUID(first.json()["turn_id"])
    await rows.turn("s", turn_id=turn_id, idempotency_key="k", request_digest=digest)

    again = await client.post(
        "/v1/sessions/s/turns", content=b'{"input":{"b":2, "a":1}, "workflow":"echo", "priority":0}', headers=key
    )
    other = await client.post("/v1/sessions/s/turns", json=ECHO, headers=key)
    elsewhere = await client.post("/v1/sessions/s2/turns", json=ECHO, headers=key)

    assert (again.status_code, again.json()["turn_id"]) == (202, str(turn_id))
    assert (other.status_code, other.json()["code"], other.json()["turn_id"]) == (
        422,
        "idempotency_mismatch",
        str(turn_id),
    )
    assert elsewhere.status_code == 202
    assert len(seen.entries) == 2


async def test_everything_that_matters_is_in_the_digest(client: httpx2.AsyncClient) -> None:
    seen = watch(client)
    bodies = [
        ECHO, ECHO | {"input": 1}, ECHO | {"on_busy": "reject"}, ECHO | {"priority": 1}, ECHO | {"deadline_s": 1},
        ECHO | {"not_before": "2026-01-01T00:00:00Z"}, ECHO | {"tags": ["x"]},
    ]  # fmt: skip

    for number, body in enumerate(bodies):
        await client.post(f"/v1/sessions/s{number}/turns", json=body, headers={"idempotency-key": "k"})

    digests = {record.decode(entry.value).digest for entry in seen.entries}
    assert len(digests) == len(bodies)
    assert {len(digest) for digest in digests} == {16}


async def test_a_turn_that_ends_in_time_is_answered_whole(client: httpx2.AsyncClient, rows: Rows) -> None:
    seen = watch(client)

    async def complete() -> None:
        await seen.appended.wait()
        turn_id = uuid.UUID(bytes=record.decode(seen.entries[0].value).turn_id)
        await rows.turn("s", "completed", turn_id=turn_id, result=42)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(complete())
        prefer = [("prefer", "respond-async"), ("prefer", "wait=10")]
        answer = await client.post("/v1/sessions/s/turns", json=ECHO, headers=prefer)

    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=10"
    assert (answer.json()["status"], answer.json()["result"]) == ("completed", 42)


async def test_a_turn_that_does_not_end_in_time_is_accepted(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/sessions/s/turns", json=ECHO, headers={"prefer": "wait=1"})

    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_a_waiter_for_a_duplicate_gets_the_original(client: httpx2.AsyncClient, rows: Rows) -> None:
    original = await rows.turn("s", "completed", result=1)
    duplicate = await rows.turn("s", "duplicate", duplicate_of=original)

    ended = await client.state.waiting.wait(duplicate, rows.tenant, 5, asyncio.Future())  # type: ignore[attr-defined]

    assert ended == original

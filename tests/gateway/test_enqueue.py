"""Turns into the log: what is appended, and what is answered for each of the three outcomes."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from argosy import ids, record
from argosy.log import Appended, Entry, Outcome
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows

ECHO = {"workflow": "echo", "input": {"text": "hello"}}


class StubbornWriter:
    """Stands before a real writer and answers with one outcome; with UNKNOWN the record is in the log all the same."""

    def __init__(self, writer: Any, outcome: Outcome) -> None:
        self._writer = writer
        self._outcome = outcome
        self.entries: list[Entry] = []
        self.appended = asyncio.Event()

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        self.entries += entries
        self.appended.set()
        if self._outcome is Outcome.APPENDED:
            return await self._writer.append(entries)  # type: ignore[no-any-return]
        if self._outcome is Outcome.UNKNOWN:
            await self._writer.append(entries)
        return [Appended(self._outcome, reason="because")] * len(entries)


def watch(client: httpx.AsyncClient, outcome: Outcome = Outcome.APPENDED) -> StubbornWriter:
    """See what a gateway appends from here on, and say what becomes of it."""
    enqueue = client.state.enqueue  # type: ignore[attr-defined]
    enqueue._writer = StubbornWriter(enqueue._writer, outcome)
    return enqueue._writer  # type: ignore[no-any-return]


async def test_a_turn_is_in_the_log_when_it_is_accepted(client: httpx.AsyncClient, rows: Rows, tenant: str) -> None:
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
    client: httpx.AsyncClient, outcome: Outcome, status: int, code: str
) -> None:
    watch(client, outcome)

    answer = await client.post("/v1/sessions/s/turns", json=ECHO)

    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (status, code, True)
    assert answer.headers["retry-after"] == "1"


async def test_a_key_that_was_used_before_is_the_same_turn(client: httpx.AsyncClient, rows: Rows) -> None:
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


async def test_everything_that_matters_is_in_the_digest(client: httpx.AsyncClient) -> None:
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


async def test_a_turn_that_ends_in_time_is_answered_whole(client: httpx.AsyncClient, rows: Rows) -> None:
    seen = watch(client)

    async def complete() -> None:
        await seen.appended.wait()
        turn_id = uuid.UUID(bytes=record.decode(seen.entries[0].value).turn_id)
        await rows.turn("s", "completed", turn_id=turn_id, result=42)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(complete())
        answer = await client.post("/v1/sessions/s/turns", json=ECHO, headers={"prefer": "respond-async, wait=10"})

    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=10"
    assert (answer.json()["status"], answer.json()["result"]) == ("completed", 42)


async def test_a_turn_that_does_not_end_in_time_is_accepted(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/sessions/s/turns", json=ECHO, headers={"prefer": "wait=1"})

    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_a_waiter_for_a_duplicate_gets_the_original(client: httpx.AsyncClient, rows: Rows) -> None:
    original = await rows.turn("s", "completed", result=1)
    duplicate = await rows.turn("s", "duplicate", duplicate_of=original)

    ended = await client.state.waiting.wait(duplicate, rows.tenant, 5)  # type: ignore[attr-defined]

    assert ended == original


async def test_a_batch_is_answered_line_by_line_in_order(client: httpx.AsyncClient, rows: Rows) -> None:
    seen = watch(client)
    digest = await digest_of(client, ECHO)
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


async def digest_of(client: httpx.AsyncClient, body: dict[str, Any]) -> bytes:
    seen = client.state.enqueue._writer  # type: ignore[attr-defined]
    await client.post("/v1/sessions/digest/turns", json=body, headers={"idempotency-key": "x"})
    return record.decode(seen.entries[-1].value).digest


async def test_a_large_batch_keeps_its_order(client: httpx.AsyncClient) -> None:
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
async def test_what_a_client_sent_does_not_tear_the_answer(client: httpx.AsyncClient, torn: str) -> None:
    line = json.dumps({"workflow": "echo", "session": "s", torn: 1}).encode()

    answer = await client.post("/v1/turns:batch", content=line + b"\n" + line)

    assert [json.loads(each)["code"] for each in answer.text.splitlines()] == ["invalid_request"] * 2
    assert len(answer.content) < 3_000


async def test_an_empty_batch_is_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/turns:batch", content=b"\n\n")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_turns_over_the_rate_are_told_when_to_come_again(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_rate_limit=1.0, gateway_rate_burst=3.0)

    single = [await client.post("/v1/sessions/s/turns", json=ECHO) for _ in range(2)]
    batch = await client.post("/v1/turns:batch", content=b"\n".join([json.dumps(ECHO | {"session": "s"}).encode()] * 4))
    other = await client.post("/v1/sessions/s/turns", json=ECHO, headers={"x-argosy-tenant": "somebody-else"})
    refused = await client.post("/v1/sessions/s/turns", json=ECHO)

    lines = [json.loads(line) for line in batch.text.splitlines()]
    assert [answer.status_code for answer in single] == [202, 202]
    assert [line["status"] for line in lines] == [202, 429, 429, 429]
    assert other.status_code == 202
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")


async def test_a_log_that_is_too_slow_refuses_new_turns(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_lag_max_s=0.5)
    state = client.state  # type: ignore[attr-defined]

    class Slow:
        async def backlog_age_s(self) -> float:
            return 0.6

    state.enqueue._writer = Slow()
    answer = await client.post("/v1/sessions/s/turns", json=ECHO)

    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")


@pytest.mark.parametrize(("behind_s", "status"), [(5, 202), (3_600, 503)])
async def test_new_turns_are_refused_while_accepting_is_too_far_behind(
    open_gateway: OpenGateway, rows: Rows, behind_s: int, status: int
) -> None:
    log = uuid.uuid4().hex
    await rows.connection.execute("DELETE FROM lane_logs WHERE lane = 'default'")
    await rows.connection.execute(
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count, since)"
        " VALUES ('default', $1, 't', 'turns.default', 8, '-infinity')",
        log,
    )
    await rows.connection.execute(
        "INSERT INTO positions (log_id, partition, lane, position, accepted_through)"
        " VALUES ($1 || '/t', 0, 'default', 1, now() - make_interval(secs => $2::double precision))",
        log,
        behind_s,
    )

    client = await open_gateway(gateway_lag_max_s=60.0)
    answer = await client.post("/v1/sessions/s/turns", json=ECHO)
    await rows.connection.execute("DELETE FROM lane_logs WHERE lane = 'default'")

    assert answer.status_code == status, answer.text


async def test_a_workflow_that_was_registered_a_moment_ago_is_known(client: httpx.AsyncClient, rows: Rows) -> None:
    name = f"new-{uuid.uuid4().hex}"
    before = await client.post("/v1/sessions/s/turns", json={"workflow": name})
    await rows.connection.execute(
        "INSERT INTO workflows (lane, name, version, build) VALUES ('default', $1, '1', 'b')", name
    )

    after = await client.post("/v1/sessions/s/turns", json={"workflow": name})

    assert (before.status_code, after.status_code) == (422, 202)

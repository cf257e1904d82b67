"""Streams, waits and uploads end with the token that they were asked with."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from argosy.config import Settings
from argosy.store.pool import open_pool
from tests.gateway.identity.tokens import Made, Tokens
from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway, Serve
from tests.gateway.stream.until import until
from tests.gateway.uploads import INGEST, NDJSON, graph_of, node, text_of

ENDS_WITHIN_S = 5.0


@pytest.fixture
async def tokens(settings: Settings, tenant: str) -> AsyncIterator[Tokens]:
    async with open_pool(settings, settings.state_db_uri) as pool:
        made = Tokens(pool, tenant)
        await made.make_tenant(tenant)
        yield made


@pytest.fixture
async def guarded(serve: Serve) -> Gateway:
    return await serve(kg_auth_required=True, allow_tenant_header=False, sse_heartbeat_s=0.1)


async def read_to_end(guarded: Gateway, path: str, made: Made, accept: str, begun: asyncio.Event) -> str:
    headers = made.headers | {"accept": accept}
    async with (
        httpx2.AsyncClient(base_url=guarded.url, timeout=30) as client,
        client.stream("GET", path, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        text = ""
        async for chunk in answer.aiter_text():
            begun.set()
            text += chunk
        return text


def problem_in(text: str, accept: str) -> Any:
    if accept == "text/event-stream":
        last = text.rstrip().split("\n\n")[-1]
        assert last.startswith("event: error\ndata: ")
        return json.loads(last.partition("data: ")[2])
    last = json.loads(text.splitlines()[-1])
    assert last["type"] == "error"
    return last["data"]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
@pytest.mark.parametrize("path", ["/v1/turns/{}/events", "/v1/sessions/s/events"])
async def test_a_stream_ends_when_its_token_is_revoked_and_no_other_does(
    guarded: Gateway, tokens: Tokens, rows: Rows, path: str, accept: str
) -> None:
    turn_id = await rows.turn("s", "suspended", attempt=1)
    revoked, kept = await tokens.make(), await tokens.make()
    begun = [asyncio.Event(), asyncio.Event()]
    ending, staying = [
        asyncio.create_task(read_to_end(guarded, path.format(turn_id), made, accept, event))
        for made, event in zip((revoked, kept), begun, strict=True)
    ]
    await asyncio.gather(*(event.wait() for event in begun))

    await tokens.revoke(revoked)
    began_s = time.monotonic()
    text = await asyncio.wait_for(ending, ENDS_WITHIN_S)

    assert time.monotonic() - began_s < ENDS_WITHIN_S
    told = problem_in(text, accept)
    assert (told["code"], told["retryable"]) == ("invalid_token", False)
    assert not staying.done()
    staying.cancel()


async def test_a_stream_ends_when_its_token_expires(guarded: Gateway, tokens: Tokens, rows: Rows) -> None:
    turn_id = await rows.turn("s", "suspended", attempt=1)
    made = await tokens.make(lifetime_s=2.0)
    accept = "text/event-stream"

    text = await asyncio.wait_for(
        read_to_end(guarded, f"/v1/turns/{turn_id}/events", made, accept, asyncio.Event()), ENDS_WITHIN_S
    )

    assert problem_in(text, accept)["code"] == "invalid_token"


async def test_a_wait_ends_with_its_token_and_what_was_posted_is_accepted_all_the_same(
    guarded: Gateway, tokens: Tokens, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "suspended", attempt=1)
    made = await tokens.make()
    client = guarded.client
    client.headers.pop("x-argosy-tenant")
    getting = asyncio.create_task(client.get(f"/v1/turns/{turn_id}?wait=60", headers=made.headers))
    posting = asyncio.create_task(
        client.post("/v1/sessions/other/turns", json={"workflow": "echo"}, headers=made.headers | {"prefer": "wait=60"})
    )
    held = guarded.state.identity.open_requests
    began_s = time.monotonic()
    while held.count < 2:
        assert time.monotonic() - began_s < 10
        await asyncio.sleep(0.02)

    await tokens.revoke(made)
    got, posted = await asyncio.wait_for(asyncio.gather(getting, posting), ENDS_WITHIN_S)

    assert (got.status_code, got.json()["code"]) == (401, "invalid_token")
    assert posted.status_code == 202
    assert held.count == 0


async def test_the_stream_goes_on_with_a_new_token(guarded: Gateway, tokens: Tokens, rows: Rows) -> None:
    turn_id = await rows.turn("s", "suspended", attempt=1, seq=2)
    await rows.events(turn_id, ("turn.started", "", {}), ("turn.suspended", "", {}))
    old = await tokens.make()
    begun = asyncio.Event()
    path, accept = f"/v1/turns/{turn_id}/events", "application/x-ndjson"
    reading = asyncio.create_task(read_to_end(guarded, path, old, accept, begun))
    await begun.wait()
    await tokens.revoke(old)
    lines = [json.loads(line) for line in (await asyncio.wait_for(reading, ENDS_WITHIN_S)).splitlines()]
    new = await tokens.make()
    await rows.connection.execute(
        "UPDATE turns SET status = 'completed', seq = 3, ended_at = now(), waits = NULL WHERE turn_id = $1", turn_id
    )
    await rows.connection.execute(
        "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data)"
        " VALUES ($1, 3, 1, 1, 'turn.completed', '', '{}')",
        turn_id,
    )

    async with httpx2.AsyncClient(base_url=guarded.url, timeout=30) as client:
        headers = new.headers | {"accept": accept, "last-event-id": lines[-2]["id"]}
        rest = await client.get(path, headers=headers)

    assert [each["type"] for each in lines] == ["turn.started", "turn.suspended", "error"]
    assert [json.loads(line)["type"] for line in rest.text.splitlines()] == ["turn.completed"]


async def test_an_upload_ends_with_its_token_and_says_how_far_it_came(
    guarded: Gateway, tokens: Tokens, rows: Rows
) -> None:
    made, other = await tokens.make(), await tokens.make()
    held = guarded.state.identity.open_requests

    async def body() -> AsyncIterator[bytes]:
        yield text_of([node(number) for number in range(10)])
        await until(lambda: held.count == 1)
        await tokens.revoke(made)
        for number in range(10, 1_000):  # the client reads no answer before it has sent all
            if held.count == 0:
                break
            yield text_of([node(number)])
            await asyncio.sleep(0.02)

    async with graph_of(rows), httpx2.AsyncClient(base_url=guarded.url, timeout=30) as client:
        answer = await asyncio.wait_for(client.post(INGEST, content=body(), headers=NDJSON | made.headers), 10)
        job = (await client.get(f"/v1/ingest/{answer.json()['job_id']}", headers=other.headers)).json()

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert 10 <= answer.json()["received_lines"] == job["received_lines"] < 1_000
    assert (job["status"], job["is_uploaded"]) == ("running", False)

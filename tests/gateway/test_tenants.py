"""Tenants do not meet: another tenant's id answers 404, in every route."""

import asyncio
import re
import uuid

import httpx2
import pytest
from fastapi import FastAPI

from argosy import ids
from argosy.config import Settings
from argosy.gateway.app import create_app
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import LANE, Rows
from tests.harness.same_tag import same_tag

WITHOUT_IDS = {
    "/v1/sessions", "/v1/workflows", "/v1/dead-letters", "/v1/erasures", "/v1/turns:batch", "/healthz", "/readyz",
    "/metrics", "/openapi.json",
}  # fmt: skip
# The name of a session is each tenant's own: these mean the asking tenant's session, which need not be there yet.
OF_ONES_OWN = {("POST", "/v1/sessions/{session}/turns"), ("GET", "/v1/sessions/{session}/events")}

STATUSES = ("queued", "running", "suspended", "parked", "completed", "cancelled")
BY_ID = [
    ("GET", "/v1/turns/{}"),
    ("GET", "/v1/turns/{}?wait=1"),
    ("GET", "/v1/turns/{}/events"),
    ("GET", "/v1/turns/{}/explain"),
    ("POST", "/v1/turns/{}/signals/go"),
    ("POST", "/v1/turns/{}/cancel"),
    ("POST", "/v1/turns/{}/resume"),
]


def told(answer: httpx2.Response, turn_id: uuid.UUID) -> dict[str, object]:
    """What an answer says, but for ids and times."""
    varies = {"turn_id", "accepted_at", "signal_id", "cancel_id", "details", "instance", "detail"}
    assert str(turn_id) in answer.text or answer.status_code == 409
    return {name: value for name, value in answer.json().items() if name not in varies}


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Every (method, path) that the app documents, but for those of graphs (test_graphs_of_tenants.py), of jobs
    (test_ingest_jobs.py), and of tokens, tenants and subjects (test_isolation.py).
    """
    return [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if not path.startswith(("/v1/graphs", "/v1/ingest", "/v1/tokens", "/v1/tenants", "/v1/subjects"))
    ]


async def test_another_tenants_id_is_nobodys_in_every_route(
    client: httpx2.AsyncClient, rows: Rows, settings: Settings
) -> None:
    turns = {status: await rows.turn(f"session-{status}", status, attempt=1) for status in ("parked", "completed")}
    turns["accepted"] = rows.mint("session-accepted")
    stranger = {"x-argosy-tenant": f"stranger-{uuid.uuid4().hex[:8]}"}
    asked = set()

    for method, path in routes_of(create_app(settings)):
        if "{" not in path or (method, path) in OF_ONES_OWN:
            continue
        for status, turn_id in turns.items():
            url = path.format(turn_id=turn_id, session=f"session-{status}", name="go", erasure_id=turn_id)
            answer = await client.request(method, url, headers=stranger)
            assert answer.status_code == 404, (method, url, answer.text)
            assert str(turn_id) in url or "session" in url
            asked.add((method, path))

    assert len(asked) == 9
    assert [await rows.inbox(turn_id) for turn_id in turns.values()] == [[], [], []]


async def test_a_tenant_with_the_same_tag_is_a_stranger_like_any_other_in_every_route(
    client: httpx2.AsyncClient, rows: Rows, settings: Settings
) -> None:
    turns = {status: await rows.turn(f"session-{status}", status, attempt=1) for status in STATUSES}
    twin = same_tag(rows.tenant)
    asked = set()

    for method, path in routes_of(create_app(settings)):
        if "{" not in path or (method, path) in OF_ONES_OWN:
            continue
        for status, turn_id in turns.items():
            assert ids.can_be_of(turn_id, twin, LANE)
            for accept in ("application/json", "text/event-stream", "application/x-ndjson"):
                url = path.format(turn_id=turn_id, session=f"session-{status}", name="go", erasure_id=turn_id)
                answer = await client.request(method, url, headers={"x-argosy-tenant": twin, "accept": accept})
                assert answer.status_code == 404, (method, url, answer.text)
                asked.add((method, path))

    assert len(asked) == 9
    assert [await rows.inbox(turn_id) for turn_id in turns.values()] == [[]] * len(turns)


async def test_a_turn_that_is_not_here_yet_looks_to_a_tenant_with_its_tag_like_one_that_never_comes(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    twin = {"x-argosy-tenant": same_tag(rows.tenant)}
    coming = rows.mint("s")
    nobodys = ids.TurnIdMint(twin["x-argosy-tenant"], LANE).mint(ids.turn_bucket(coming))

    for method, path in BY_ID:
        there, nowhere = [
            await client.request(method, path.format(turn_id), headers=twin) for turn_id in (coming, nobodys)
        ]
        assert there.status_code == nowhere.status_code, path
        assert told(there, coming) == told(nowhere, nobodys)


async def test_what_a_tenant_with_the_same_tag_sends_before_a_turn_comes_is_in_nobodys_way(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turn_id = rows.mint("s")
    twin = {"x-argosy-tenant": same_tag(rows.tenant), "idempotency-key": "k"}
    mine = {"idempotency-key": "k"}

    theirs = [await client.post(f"/v1/turns/{turn_id}/{what}", headers=twin) for what in ("signals/go", "cancel")]
    ours = [await client.post(f"/v1/turns/{turn_id}/{what}", headers=mine) for what in ("signals/go", "cancel")]
    await rows.turn("s", "suspended", turn_id=turn_id, attempt=1)
    await rows.connection.execute("SELECT deliver_early(ARRAY[$1::uuid])", turn_id)
    again = [await client.post(f"/v1/turns/{turn_id}/{what}", headers=mine) for what in ("signals/go", "cancel")]

    assert [each.status_code for each in (*theirs, *ours, *again)] == [202] * 6
    assert {row["inbox_id"] for row in await rows.inbox(turn_id)} == {
        uuid.UUID(ours[0].json()["signal_id"]), uuid.UUID(ours[1].json()["cancel_id"])
    }  # fmt: skip
    assert [each.json()["turn_id"] for each in again] == [str(turn_id)] * 2
    assert again[0].json()["signal_id"] == ours[0].json()["signal_id"]
    assert {row["tenant"] for row in await rows.inbox(turn_id)} == {rows.tenant}
    assert await rows.early(turn_id) == []


async def test_a_stream_that_waits_for_a_turn_ends_when_it_turns_out_to_be_another_tenants(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turn_id = rows.mint("s")
    headers = {"x-argosy-tenant": same_tag(rows.tenant), "accept": "application/x-ndjson"}

    reading = asyncio.create_task(client.get(f"/v1/turns/{turn_id}/events", headers=headers))
    waiting = asyncio.create_task(client.get(f"/v1/turns/{turn_id}?wait=5", headers=headers))
    await rows.turn("s", "completed", turn_id=turn_id, attempt=1, seq=2)
    await rows.events(turn_id, ("turn.started", "", {}), ("turn.completed", "", {"secret": 1}))
    answers = await asyncio.gather(reading, waiting)

    assert all("secret" not in each.text and "turn.started" not in each.text for each in answers)
    assert answers[1].status_code == 404


async def test_every_route_is_documented(client: httpx2.AsyncClient, settings: Settings) -> None:
    document = (await client.get("/openapi.json")).json()

    assert document["openapi"].startswith("3.1")
    assert {"/v1/sessions/{session}/turns", "/v1/turns:batch"} <= document["paths"].keys()
    assert {"get", "post"} <= document["paths"]["/v1/sessions/{session}/turns"].keys()
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    missing = referred - document["components"]["schemas"].keys()
    assert missing == set()
    posted = document["components"]["schemas"]["TurnPosted"]
    assert posted["required"] == ["workflow"]
    assert posted["additionalProperties"] is False


async def test_lists_show_the_tenants_own(client: httpx2.AsyncClient, rows: Rows) -> None:
    await rows.turn("mine", "completed")

    mine = (await client.get("/v1/sessions")).json()
    theirs = (await client.get("/v1/sessions", headers={"x-argosy-tenant": uuid.uuid4().hex})).json()

    assert [each["session"] for each in mine["sessions"]] == ["mine"]
    assert theirs["sessions"] == []


async def test_a_cursor_of_another_tenant_fits_nothing(client: httpx2.AsyncClient, rows: Rows) -> None:
    for number in range(2):
        await rows.session(f"s{number}")
    cursor = (await client.get("/v1/sessions?limit=1")).json()["next"]

    answer = await client.get(f"/v1/sessions?cursor={cursor}", headers={"x-argosy-tenant": "other"})

    assert answer.status_code == 400


async def test_the_header_means_nothing_unless_it_is_allowed(open_gateway: OpenGateway, rows: Rows) -> None:
    turn_id = await rows.turn("s", "completed")
    trusting, wary = await open_gateway(), await open_gateway(allow_tenant_header=False)

    answers = [await client.get(f"/v1/turns/{turn_id}") for client in (trusting, wary)]

    assert [answer.status_code for answer in answers] == [200, 404]


@pytest.mark.parametrize("path", sorted(WITHOUT_IDS - {"/v1/turns:batch"}))
async def test_pages_without_ids_answer(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"x-argosy-tenant": "default"})).status_code == 200


async def test_a_resume_of_many_concerns_the_turns_of_its_tenant_alone(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "parked", attempt=1, seq=4, reason="no_build")

    theirs = await client.post("/v1/turns:resume", headers={"x-argosy-tenant": same_tag(rows.tenant)})

    assert (theirs.status_code, theirs.json()["resumed"]) == (202, 0)
    assert await rows.inbox(turn_id) == []

"""Tenants do not meet: another tenant's id answers 404, in every route."""

import re
import uuid

import httpx2
import pytest
from fastapi import FastAPI

from argosy.config import Settings
from argosy.gateway.app import create_app
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows

WITHOUT_IDS = {
    "/v1/sessions", "/v1/workflows", "/v1/dead-letters", "/v1/turns:batch", "/healthz", "/readyz", "/metrics",
    "/openapi.json",
}  # fmt: skip
# The name of a session is each tenant's own: these mean the asking tenant's session, which need not be there yet.
OF_ONES_OWN = {("POST", "/v1/sessions/{session}/turns"), ("GET", "/v1/sessions/{session}/events")}


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Every (method, path) that the app documents."""
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


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
            url = path.format(turn_id=turn_id, session=f"session-{status}", name="go")
            answer = await client.request(method, url, headers=stranger)
            assert answer.status_code == 404, (method, url, answer.text)
            assert str(turn_id) in url or "session" in url
            asked.add((method, path))

    assert len(asked) == 8
    assert [await rows.inbox(turn_id) for turn_id in turns.values()] == [[], [], []]


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
    assert (await client.get(path)).status_code == 200

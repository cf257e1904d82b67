"""/v1/erasures: what is asked for once, what is refused, and whose it is."""

import uuid
from datetime import UTC, datetime

import httpx2
import pytest

from tests.gateway.rows import Rows


async def test_an_erasure_is_asked_for_once_and_shown(client: httpx2.AsyncClient) -> None:
    posted = {"kind": "session", "target": "ada's", "confirm": "ada's"}

    first = await client.post("/v1/erasures", json=posted, headers={"idempotency-key": "k"})
    again = await client.post("/v1/erasures", json=posted, headers={"idempotency-key": "k"})

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json() == (await client.get(first.json()["links"]["self"])).json()
    shown = first.json()
    assert (shown["kind"], shown["target"], shown["status"], shown["receipt"]) == ("session", "ada's", "running", [])
    assert "argosy maintain" in shown["waits_for"]  # nobody else would say so
    assert shown["waits_since"] == shown["asked_at"]
    assert [each["waits_for"] for each in (await client.get("/v1/erasures")).json()["erasures"]] == [shown["waits_for"]]


async def test_what_it_waits_for_is_shown_and_that_this_takes_long(client: httpx2.AsyncClient, rows: Rows) -> None:
    posted = {"kind": "session", "target": "late", "confirm": "late"}
    erasure_id = (await client.post("/v1/erasures", json=posted)).json()["erasure_id"]
    waits = "UPDATE erasures SET waits_for = 'a worker', changed_at = $2 WHERE erasure_id = $1"
    since = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    found = []
    await rows.connection.execute("SELECT pg_advisory_lock(role_lock('erase'))")  # somebody leads
    try:
        for at in (datetime.now(UTC), since):
            await rows.connection.execute(waits, uuid.UUID(erasure_id), at)
            found.append((await client.get(f"/v1/erasures/{erasure_id}")).json())
    finally:
        await rows.connection.execute("SELECT pg_advisory_unlock(role_lock('erase'))")

    assert [each["waits_for"] for each in found] == [
        "a worker",
        "a worker; nobody has read there since 2026-07-01 09:30:00 UTC, for longer than ERASURE_LATE_S (600 s)",
    ]
    assert datetime.fromisoformat(found[1]["waits_since"]) == since


async def test_a_key_that_was_used_for_something_else_is_refused(client: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "k"}
    await client.post("/v1/erasures", json={"kind": "session", "target": "a", "confirm": "a"}, headers=key)

    other = await client.post("/v1/erasures", json={"kind": "graph", "target": "a", "confirm": "a"}, headers=key)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_erasures_are_listed_page_by_page_newest_first(client: httpx2.AsyncClient) -> None:
    for name in ("one", "two", "three"):
        await client.post("/v1/erasures", json={"kind": "session", "target": name, "confirm": name})

    first = (await client.get("/v1/erasures?limit=2")).json()
    second = (await client.get("/v1/erasures", params={"limit": 2, "cursor": first["next"]})).json()

    pages = [[each["target"] for each in page["erasures"]] for page in (first, second)]
    assert pages == [["three", "two"], ["one"]]
    assert second["next"] is None


async def test_a_turn_and_the_tenant_itself_can_be_erased(client: httpx2.AsyncClient, rows: Rows, tenant: str) -> None:
    turn = str(await rows.turn("s", "completed"))

    of_turn = await client.post("/v1/erasures", json={"kind": "turn", "target": turn, "confirm": turn})
    of_tenant = await client.post("/v1/erasures", json={"kind": "tenant", "confirm": tenant})

    assert (of_turn.status_code, of_turn.json()["target"]) == (202, turn)
    assert (of_tenant.status_code, of_tenant.json()["target"]) == (202, None)


@pytest.mark.parametrize(
    ("posted", "status", "code"),
    [
        ({"kind": "session", "target": "s"}, 422, "unconfirmed"),
        ({"kind": "session", "target": "s", "confirm": "S"}, 422, "unconfirmed"),
        ({"kind": "tenant", "confirm": "another"}, 422, "unconfirmed"),
        ({"kind": "tenant", "target": "another", "confirm": "another"}, 422, "invalid_request"),
        ({"kind": "graph", "confirm": ""}, 422, "invalid_request"),
        ({"kind": "graph", "target": "..", "confirm": ".."}, 422, "invalid_graph"),
        ({"kind": "session", "target": "", "confirm": ""}, 422, "invalid_session"),
        ({"kind": "session", "target": "a\x00", "confirm": "a\x00"}, 422, "invalid_session"),
        ({"kind": "turn", "target": "t", "confirm": "t"}, 400, "invalid_id"),
        ({"kind": "turn", "target": str(uuid.uuid4()), "confirm": ""}, 404, "turn_not_found"),
        ({"kind": "node", "target": "n", "confirm": "n"}, 422, "invalid_request"),
        ({"kind": "session", "target": "s", "confirm": "s", "now": True}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_erased_is_refused(
    client: httpx2.AsyncClient, posted: dict[str, object], status: int, code: str
) -> None:
    answer = await client.post("/v1/erasures", json=posted)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("erasure_id", ["none", "0198f9a0-0000-4000-8000-000000000000", "%00"])
async def test_an_erasure_that_is_not_there_is_not_found(client: httpx2.AsyncClient, erasure_id: str) -> None:
    answer = await client.get(f"/v1/erasures/{erasure_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "erasure_not_found")


async def test_an_erasure_is_its_own_tenants_and_erases_nothing_of_others(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turn = str(await rows.turn("s", "completed"))
    made = await client.post("/v1/erasures", json={"kind": "session", "target": "s", "confirm": "s"})
    stranger = {"x-argosy-tenant": "stranger"}

    found = await client.get(made.json()["links"]["self"], headers=stranger)
    listed = await client.get("/v1/erasures", headers=stranger)
    posted = {"kind": "turn", "target": turn, "confirm": turn}
    asked = await client.post("/v1/erasures", json=posted, headers=stranger)

    assert (found.status_code, asked.status_code) == (404, 404)
    assert listed.json() == {"erasures": [], "next": None}

"""A turn that another turn started and nobody has accepted yet answers as one that is only in the log does."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest

from argosy import ids
from tests.gateway.rows import LANE, Rows

ROUTES = [
    ("GET", ""),
    ("GET", "?wait=1"),
    ("GET", "/explain"),
    ("GET", "/events"),
    ("POST", "/signals/go"),
    ("POST", "/cancel"),
    ("POST", "/resume"),
]


@pytest.fixture
async def started(rows: Rows) -> AsyncIterator[uuid.UUID]:
    """The log was read beyond what was minted so long ago."""
    turn_id = rows.mint("child", age_s=60)
    session_id = ids.session_id_of(rows.tenant, LANE, "child")
    await rows.accepted_through("child", datetime.now(UTC))
    await rows.connection.execute(
        "INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record) VALUES ($1, $2, $3, $4, $5, 'r')",
        turn_id, LANE, ids.bucket_of(session_id), rows.tenant, session_id,
    )  # fmt: skip
    yield turn_id
    await rows.connection.execute("DELETE FROM starts WHERE turn_id = $1", turn_id)


async def answer(client: httpx2.AsyncClient, method: str, path: str) -> httpx2.Response:
    return await client.request(method, path, json=1 if "signals" in path else None)


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_every_route_answers_as_for_a_turn_in_the_log(
    method: str, route: str, client: httpx2.AsyncClient, rows: Rows, started: uuid.UUID
) -> None:
    in_log = rows.mint("in the log")

    found, expected = [await answer(client, method, f"/v1/turns/{each}{route}") for each in (started, in_log)]

    assert found.status_code == expected.status_code != 404
    assert found.json().get("status") == expected.json().get("status")


async def test_it_is_explained_as_what_it_is(client: httpx2.AsyncClient, started: uuid.UUID) -> None:
    explained = (await client.get(f"/v1/turns/{started}/explain")).json()

    assert explained["status"] == "accepted"
    assert explained["code"] in ("to_be_started", "no_worker", "no_owner")
    assert "Another turn started it" in explained["why"]


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_another_tenant_whose_ids_have_the_same_tag_is_answered_404(
    method: str, route: str, client: httpx2.AsyncClient, rows: Rows, started: uuid.UUID
) -> None:
    await rows.connection.execute("UPDATE starts SET tenant = 'somebody-else' WHERE turn_id = $1", started)

    assert (await answer(client, method, f"/v1/turns/{started}{route}")).status_code == 404

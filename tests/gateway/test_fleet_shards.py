"""GET /v1/fleet/shards and /v1/fleet/moves: what operators see of shards, plans and moves."""

import uuid
from collections.abc import AsyncIterator

import httpx2
import pytest

from argosy.config import Settings
from argosy.graph.facts import GraphName, Member
from argosy.store.graph import Directory, GraphRowState, NewGraph
from argosy.store.pool import Pool, open_pool
from argosy.store.shards import ShardChanges
from tests.gateway.graph_shard import forget_shards

ONE, TWO = Member(uuid.UUID(int=1), "127.0.0.1:1"), Member(uuid.UUID(int=2), "127.0.0.1:2")

OPERATOR = {"x-argosy-tenant": "default"}


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """Two shards that nobody has started, and one graph, on the first."""
    await forget_shards(settings.state_db_uri)
    async with open_pool(settings, settings.state_db_uri) as pool:
        directory = Directory(pool)
        await directory.seed([ONE, TWO])
        row = await directory.add(
            NewGraph("acme", "crm", uuid.uuid4(), ONE.member_id, GraphRowState.CREATING, None, None)
        )
        assert row is not None
        await directory.activate(row)
        yield pool
    await forget_shards(settings.state_db_uri)


async def test_shards_are_shown_with_what_they_have_and_what_comes_and_goes(
    pool: Pool, client: httpx2.AsyncClient
) -> None:
    changes = ShardChanges(pool)
    await changes.drain(TWO.member_id)
    await changes.undrain(TWO.member_id)
    plan = await changes.drain(ONE.member_id)
    move_id, _ = await changes.move(GraphName("acme", "crm"), TWO.member_id)

    page = (await client.get("/v1/fleet/shards", headers=OPERATOR)).json()
    moves = (await client.get("/v1/fleet/moves?limit=5", headers=OPERATOR)).json()["moves"]

    shown = [
        (each["endpoint"], each["state"], each["graphs"], each["coming"], each["going"]) for each in page["shards"]
    ]
    assert shown == [(ONE.endpoint, "draining", 1, 0, 1), (TWO.endpoint, "active", 0, 1, 0)]
    assert [(each["plan_id"], each["kind"], each["shard"]) for each in page["plans"]] == [
        (str(plan), "drain", str(ONE.member_id))
    ]
    assert [(each["move_id"], each["tenant"], each["graph"], each["state"]) for each in moves] == [
        (str(move_id), "acme", "crm", "planned")
    ]
    await changes.cancel(move_id)
    assert [each["state"] for each in (await client.get("/v1/fleet/moves", headers=OPERATOR)).json()["moves"]] == [
        "aborted"
    ]
    assert (await client.get("/v1/fleet/shards", headers=OPERATOR)).json()["shards"][0]["going"] == 0


async def test_other_tenants_are_shown_neither(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/fleet/shards", "/v1/fleet/moves"):
        assert (await client.get(path)).status_code == 403

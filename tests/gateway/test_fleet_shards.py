"""GET /v1/fleet/shards and /v1/fleet/moves: what operators see of shards, plans and moves."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from argosy.config import Settings
from argosy.graph.facts import GraphName, Member
from argosy.store.graph import Directory, GraphRowState, NewGraph
from argosy.store.move import Moves
from argosy.store.pool import Pool, open_pool
from argosy.store.shards import ShardChanges
from tests.gateway.conftest import OpenGateway
from tests.gateway.graph_shard import forget_shards
from tests.maintenance.term import term_of

ONE, TWO = Member(uuid.UUID(int=1), "127.0.0.1:1"), Member(uuid.UUID(int=2), "127.0.0.1:2")

OPERATOR = {"x-argosy-tenant": "default"}
AWAY = "shard 127.0.0.1:2: ShardUnavailableError: connection refused"
NOWHERE = "no shard takes graphs: all of them drain"


@asynccontextmanager
async def two_shards(settings: Settings) -> AsyncIterator[Pool]:
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


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with two_shards(settings) as pool:
        yield pool


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


async def test_a_shard_says_what_its_drain_and_its_moves_wait_for(
    open_gateway: OpenGateway, settings: Settings
) -> None:
    """The gateway knows no shards when it begins, and looks at none of them."""
    await forget_shards(settings.state_db_uri)
    client = await open_gateway(graph_watch_s=300)
    async with two_shards(settings) as pool:
        changes, moves = ShardChanges(pool), Moves(pool, "rebalance", await term_of(settings.state_db_uri, "rebalance"))
        await changes.move(GraphName("acme", "crm"), TWO.member_id)
        before = await reasons(client)

        (move,) = await moves.due([], 1)
        await moves.put_off(move, 60.0, AWAY)
        waiting = await reasons(client)
        await changes.drain(ONE.member_id)
        (plan,) = await moves.due_plans()
        await moves.block(plan, NOWHERE, 60.0)
        blocked = await reasons(client)
        for each in (move.move_id, plan.plan_id):
            await changes.cancel(each)

    assert before == [(None, ""), (None, "")]
    assert waiting == [(None, AWAY), (None, AWAY)]
    assert blocked == [(None, NOWHERE), (None, AWAY)]


async def test_a_shard_that_does_not_answer_says_why(pool: Pool, client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while any(is_up is None for is_up, _ in await reasons(client)):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.05)

    for is_up, reason in await reasons(client):
        assert is_up is False
        assert reason.startswith("ShardUnavailableError: ")


async def reasons(client: httpx2.AsyncClient) -> list[tuple[bool | None, str]]:
    page = (await client.get("/v1/fleet/shards", headers=OPERATOR)).json()
    return [(each["is_up"], each["reason"]) for each in page["shards"]]


async def test_other_tenants_are_shown_neither(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/fleet/shards", "/v1/fleet/moves"):
        assert (await client.get(path)).status_code == 403

"""Gateways that enforce no access control lists, beside shards that do: the end of a graph, uploads to it, and what its
jobs show, of which shards hear from the fleet alone.
"""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from argosy.config import Settings
from argosy.identity.scopes import Role
from tests.gateway.conftest import OpenGateway
from tests.gateway.graph_shard import ShardOfTest, shard_served
from tests.gateway.identity.conftest import OpenGuarded
from tests.gateway.identity.test_graph_acl import ENFORCED, NDJSON, SCOPES, World, person
from tests.gateway.identity.tokens import Tokens

LINE: Final = b'{"op": "upsert_node", "id": "new", "label": "Person", "props": {"_acl": {"read": ["*"]}}}'
DELETED: Final = ("DELETE", "/bosses?confirm=bosses")


@pytest.fixture
async def served(settings: Settings, tmp_path: Path) -> AsyncIterator[ShardOfTest]:
    """A shard that enforces lists."""
    async with shard_served(settings.model_copy(update=ENFORCED), tmp_path / "shard") as served:
        yield served


async def known(open_guarded: OpenGuarded, tokens: Tokens) -> tuple[World, str]:
    """A gateway that knows who asks and enforces no lists, a graph that only boss may read, and the path of its job."""
    made = [await tokens.make(Role.TENANT), *[await tokens.make(None, scopes=SCOPES) for _ in range(2)]]
    world = World(await open_guarded(), *made)
    await world.done(world.boss, "POST", "", json={"graph": "bosses"})
    await world.done(world.boss, "PUT", "/bosses/acl", json={"acl": {}})
    await world.done(world.boss, "POST", "/bosses/apply", json={"ops": [person("cy")]})
    sent = await world.ask(world.boss, "POST", "/bosses/ingest", content=LINE, headers=NDJSON)
    assert sent.status_code == 202, sent.text
    return world, f"/../ingest/{sent.json()['job_id']}"


def asks_of(job: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (*DELETED, {}),
        ("POST", "/bosses/ingest", {"content": LINE, "headers": NDJSON}),
        ("GET", "/bosses/ingest", {}),
        ("POST", "", {"json": {"graph": "bosses"}}),
        ("GET", job, {}),
        ("GET", f"{job}/events", {}),
        ("GET", f"{job}/rejects", {}),
        ("POST", f"{job}/cancel", {}),
    ]


async def test_lists_hold_at_a_gateway_that_enforces_none(
    served: ShardOfTest, open_guarded: OpenGuarded, tokens: Tokens
) -> None:
    world, job = await known(open_guarded, tokens)

    for method, path, asked in asks_of(job):
        await world.refused(world.bob, method, path, **asked)

    assert (await world.done(world.boss, "GET", "/bosses"))["nodes"] == 1
    assert len((await world.done(world.boss, "GET", "/bosses/ingest"))["jobs"]) == 1
    await world.done(world.boss, *DELETED)


async def test_an_open_gateway_opens_nothing_of_a_shard_that_enforces_lists(
    served: ShardOfTest, open_gateway: OpenGateway, open_guarded: OpenGuarded, tokens: Tokens, tenant: str
) -> None:
    world, job = await known(open_guarded, tokens)
    client = await open_gateway()

    for method, path, asked in asks_of(job):
        headers = {"x-argosy-tenant": tenant} | asked.pop("headers", {})
        answer = await client.request(method, f"/v1/graphs{path}", headers=headers, **asked)
        assert (answer.status_code, answer.json()["code"]) == (503, "lists_disagree"), (path, answer.text)

    assert (await world.done(world.boss, "GET", "/bosses"))["nodes"] == 1


async def test_while_a_shard_is_away_its_administrators_alone_end_a_graph(
    served: ShardOfTest, open_guarded: OpenGuarded, tokens: Tokens
) -> None:
    """It may enforce lists, and nobody else knows them."""
    world, _ = await known(open_guarded, tokens)
    await served.stop()

    answer = await world.ask(world.bob, *DELETED)
    assert (answer.status_code, answer.json()["code"]) == (503, "shard_unavailable"), answer.text
    assert (await world.ask(world.boss, *DELETED)).status_code == 202


async def test_where_nobody_is_known_nothing_waits_for_a_shard_that_is_away(
    settings: Settings, open_gateway: OpenGateway, tmp_path: Path
) -> None:
    async with shard_served(settings, tmp_path / "shard") as served:
        client: httpx2.AsyncClient = await open_gateway()
        await client.post("/v1/graphs", json={"graph": "bosses"})
        sent = await client.post("/v1/graphs/bosses/ingest", content=LINE, headers=NDJSON)
        await served.stop()

        assert (await client.get(f"/v1/ingest/{uuid.UUID(sent.json()['job_id'])}/rejects")).status_code == 200
        assert (await client.request(DELETED[0], f"/v1/graphs{DELETED[1]}")).status_code == 202
        assert (await client.get(f"/v1/ingest/{sent.json()['job_id']}")).status_code == 200

"""Tenants' graphs do not meet, and what a shard or Postgres that is away does to requests about graphs."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from argosy.config import Settings
from argosy.errors import ShardUnavailableError
from argosy.gateway.app import create_app
from argosy.gateway.preflight import preflight
from tests.gateway.conftest import OpenGateway
from tests.gateway.graph_shard import ShardOfTest, forget_shards, shard_served
from tests.harness.same_tag import same_tag
from tests.harness.tcp_proxy import PostgresProxy

NODE = {"op": "upsert_node", "id": "ada", "label": "Person"}
BODIES = {
    "acl": {"acl": {"read": ["*"]}},
    "apply": {"ops": [NODE]},
    "query": {"cypher": "MATCH (n) RETURN n.id"},
    "neighbors": {"ids": ["ada"]},
    "search": {"text": "ada"},
    "recall": {"text": "ada"},
}


@pytest.fixture
async def shard(settings: Settings, tmp_path: Path) -> AsyncIterator[ShardOfTest]:
    async with shard_served(settings, tmp_path / "shard") as served:
        yield served


@pytest.fixture
async def people(shard: ShardOfTest, client: httpx2.AsyncClient) -> None:
    """A graph with one person."""
    await client.post("/v1/graphs", json={"graph": "people"})
    await client.post("/v1/graphs/people/apply", json={"ops": [NODE]})


def routes(settings: Settings) -> list[tuple[str, str]]:
    """Every (method, path) that asks one graph, named `people`, with a node `ada`. What is ingested goes into the log,
    and asks no graph (test_ingest_jobs.py).
    """
    return [
        (method.upper(), path.format(graph="people", node="ada"))
        for path, methods in create_app(settings).openapi()["paths"].items()
        for method in methods
        if path.startswith("/v1/graphs/") and not path.endswith("/ingest")
    ]


async def ask(client: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str]) -> httpx2.Response:
    url = f"{path}?confirm=people" if method == "DELETE" else path
    return await client.request(method, url, json=BODIES.get(path.rpartition("/")[2]), headers=headers)


@pytest.mark.usefixtures("people")
async def test_another_tenants_graph_is_nobodys_in_every_route(
    client: httpx2.AsyncClient, settings: Settings, tenant: str
) -> None:
    asked = routes(settings)

    for stranger in (f"stranger-{uuid.uuid4().hex[:8]}", same_tag(tenant)):
        for method, path in asked:
            answer = await ask(client, method, path, {"x-argosy-tenant": stranger})
            assert (answer.status_code, answer.json()["code"]) == (404, "graph_not_found"), (method, path, answer.text)
        listed = await client.get("/v1/graphs", headers={"x-argosy-tenant": stranger})
        assert listed.json() == {"graphs": [], "next": None}

    assert len(asked) == 13
    assert (await client.get("/v1/graphs/people")).json()["version"] == 1


@pytest.mark.usefixtures("people")
async def test_two_tenants_have_a_graph_of_one_name_each(client: httpx2.AsyncClient) -> None:
    other = {"x-argosy-tenant": f"t-{uuid.uuid4().hex[:12]}"}

    await client.post("/v1/graphs", json={"graph": "people"}, headers=other)
    shown = await client.get("/v1/graphs/people", headers=other)
    dropped = await client.delete("/v1/graphs/people?confirm=people", headers=other)

    assert (shown.json()["nodes"], dropped.status_code) == (0, 204)
    assert (await client.get("/v1/graphs/people")).json()["nodes"] == 1


@pytest.mark.usefixtures("people")
async def test_a_shard_that_is_away_is_503_for_its_graphs_and_says_when_to_come_back(
    client: httpx2.AsyncClient, settings: Settings, shard: ShardOfTest
) -> None:
    client.state.graphs.timeout_s = 0.5  # type: ignore[attr-defined]
    await shard.stop()

    for method, path in routes(settings):
        if method == "DELETE":
            continue
        answer = await ask(client, method, path, {})
        assert (answer.status_code, answer.json()["code"]) == (503, "shard_unavailable"), answer.text
        assert answer.json()["retryable"] is True
        assert answer.headers["retry-after"] == "1"
        assert shard.endpoint not in answer.text

    assert (await client.get("/v1/graphs")).status_code == 200


@pytest.mark.usefixtures("people")
async def test_a_tenant_has_so_many_exports_at_once_and_others_have_theirs(
    client: httpx2.AsyncClient, tenant: str
) -> None:
    exports = client.state.exports  # type: ignore[attr-defined]
    other = {"x-argosy-tenant": f"t-{uuid.uuid4().hex[:12]}"}
    await client.post("/v1/graphs", json={"graph": "people"}, headers=other)

    with exports.opened(tenant), exports.opened(tenant):
        refused = await client.get("/v1/graphs/people/export")
        theirs = await client.get("/v1/graphs/people/export", headers=other)
    again = [await client.get("/v1/graphs/people/export") for _ in range(3)]

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
    assert refused.headers["retry-after"] == "5"
    assert [answer.status_code for answer in (theirs, *again)] == [200] * 4


@pytest.mark.usefixtures("people")
async def test_a_graph_is_deleted_while_its_shard_is_away_and_its_data_go_later(
    client: httpx2.AsyncClient, shard: ShardOfTest
) -> None:
    client.state.graphs.timeout_s = 0.5  # type: ignore[attr-defined]
    await shard.stop()

    deleted = await client.delete("/v1/graphs/people?confirm=people")

    assert deleted.status_code == 202
    assert (await client.get("/v1/graphs")).json()["graphs"] == []
    assert (await client.get("/v1/graphs/people")).json()["code"] == "graph_not_found"


async def test_a_gateway_starts_with_shards_that_it_can_ask_what_they_have_or_says_which_it_cannot(
    settings: Settings, shard: ShardOfTest
) -> None:
    nowhere = settings.model_copy(update={"graph_service_endpoints": ("127.0.0.1:1",), "argosy_ready_s": 0.2})

    await preflight(nowhere)  # there are members: theirs are the endpoints that count
    await forget_shards(settings.state_db_uri)
    with pytest.raises(ShardUnavailableError, match=r"GRAPH_SERVICE_ENDPOINTS: the shard at 127\.0\.0\.1:1"):
        await preflight(nowhere)
    await preflight(settings.model_copy(update={"graph_service_endpoints": (shard.endpoint,)}))


async def test_without_a_shard_nothing_is_there_nor_can_be_made_and_what_to_set_is_named(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    await forget_shards(settings.state_db_uri)

    listed = await client.get("/v1/graphs")
    made = await client.post("/v1/graphs", json={"graph": "people"})
    unknown = await client.get("/v1/graphs/people")

    assert listed.json() == {"graphs": [], "next": None}
    assert (unknown.status_code, unknown.json()["code"]) == (404, "graph_not_found")
    assert unknown.json()["detail"].startswith("there is no graph 'people', and there are no shards for graphs: ")
    assert (made.status_code, made.json()["code"], made.headers["retry-after"]) == (503, "shard_unavailable", "1")
    assert all("GRAPH_SERVICE_ENDPOINTS" in each.json()["detail"] for each in (unknown, made))


@pytest.mark.usefixtures("shard")
async def test_a_gateway_that_knows_a_graph_asks_its_shard_without_postgres(
    open_gateway: OpenGateway, proxy: PostgresProxy
) -> None:
    client = await open_gateway(state_db_uri=proxy.dsn)
    await client.post("/v1/graphs", json={"graph": "people"})
    await client.post("/v1/graphs/people/apply", json={"ops": [NODE]})
    await proxy.refuse()

    known = await client.get("/v1/graphs/people/nodes/ada")
    unknown = await client.get("/v1/graphs/others/nodes/ada")

    assert known.status_code == 200
    assert (unknown.status_code, unknown.json()["code"]) == (503, "store_unavailable")

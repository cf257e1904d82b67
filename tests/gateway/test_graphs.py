"""Graphs over REST, on a real shard over gRPC: made, written, asked, exported, deleted."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from argosy.config import Settings
from argosy.graph.names import own_graph_of
from tests.gateway.conftest import OpenGateway
from tests.gateway.graph_shard import ShardOfTest, graphs_of_worker, shard_served
from tests.gateway.rows import Rows

ADA = {"op": "upsert_node", "id": "ada", "label": "Person", "props": {"born": 1815}}
BOB = {"op": "upsert_node", "id": "bob", "label": "Person", "props": {"born": 1791}}
KNOWS = {"op": "upsert_edge", "src": "ada", "type": "KNOWS", "dst": "bob", "props": {"since": 1833}}


@pytest.fixture(autouse=True)
async def shard(settings: Settings, tmp_path: Path) -> AsyncIterator[ShardOfTest]:
    async with shard_served(settings, tmp_path / "shard") as served:
        yield served


@pytest.fixture
async def people(shard: ShardOfTest, client: httpx2.AsyncClient) -> str:
    """The address of a graph with two people."""
    await client.post("/v1/graphs", json={"graph": "people"})
    applied = await client.post("/v1/graphs/people/apply", json={"ops": [ADA, BOB, KNOWS]})
    assert applied.json() == {"version": 1}, applied.text
    return "/v1/graphs/people"


async def test_a_graph_is_made_once_and_shown_with_where_it_is(client: httpx2.AsyncClient, shard: ShardOfTest) -> None:
    made = (await client.post("/v1/graphs", json={"graph": "people"})).json()
    again = (await client.post("/v1/graphs", json={"graph": "people"})).json()
    shown = (await client.get("/v1/graphs/people")).json()

    assert again == made
    assert made["graph"] == "people"
    assert made["shard"] == str(await shard.shard.identify(deadline_s=5))
    assert (shown["state"], shown["generation"], shown["nodes"], shown["edges"]) == ("active", 1, 0, 0)
    assert shown["incarnation"] == made["incarnation"]


async def test_graphs_are_listed_by_name_page_by_page(client: httpx2.AsyncClient) -> None:
    for name in ("b", "a", "c"):
        await client.post("/v1/graphs", json={"graph": name})

    first = (await client.get("/v1/graphs?limit=2")).json()
    second = (await client.get(f"/v1/graphs?limit=2&cursor={first['next']}")).json()

    assert [[each["graph"] for each in page["graphs"]] for page in (first, second)] == [["a", "b"], ["c"]]
    assert second["next"] is None


async def test_what_is_applied_is_there(client: httpx2.AsyncClient, people: str) -> None:
    node = (await client.get(f"{people}/nodes/ada")).json()
    around = (await client.post(f"{people}/neighbors", json={"ids": ["ada"], "direction": "out", "depth": 1.0})).json()
    shown = (await client.get(people)).json()

    assert node == {"id": "ada", "label": "Person", "props": {"born": 1815}, "version": 1, "source": None}
    assert [each["id"] for each in around["nodes"]] == ["ada", "bob"]
    assert [(each["src"], each["type"], each["dst"], each["props"]) for each in around["edges"]] == [
        ("ada", "KNOWS", "bob", {"since": 1833})
    ]
    assert (shown["nodes"], shown["edges"], shown["version"]) == (2, 1, 1)


async def test_a_query_sees_what_was_applied_before_it(client: httpx2.AsyncClient, people: str) -> None:
    asked = {"cypher": "MATCH (a:Person {id: $id})-[:KNOWS]->(b) RETURN b.id, b.born", "params": {"id": "ada"}}

    answer = await client.post(f"{people}/query", json=asked)

    assert answer.json() == {"columns": ["b.id", "b.born"], "rows": [["bob", 1791]], "is_cut": False}


async def test_a_batch_is_applied_once_under_its_key(client: httpx2.AsyncClient, people: str) -> None:
    batch = {"ops": [{"op": "merge_props", "id": "ada", "props": {"name": "Ada"}}], "idempotency_key": "import-7"}

    answers = [await client.post(f"{people}/apply", json=batch) for _ in range(2)]
    by_header = await client.post(
        f"{people}/apply", json={"ops": batch["ops"]}, headers={"idempotency-key": "import-7"}
    )
    other = await client.post(f"{people}/apply", json={"ops": [BOB], "idempotency_key": "import-7"})

    assert [each.json() for each in (*answers, by_header)] == [{"version": 2}] * 3
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_a_condition_that_does_not_hold_refuses_the_whole_batch(client: httpx2.AsyncClient, people: str) -> None:
    ops = [{"op": "upsert_node", "id": "eve", "label": "Person"}, ADA | {"if_absent": True}]

    refused = await client.post(f"{people}/apply", json={"ops": ops})

    assert (refused.status_code, refused.json()["code"], refused.json()["failed"]) == (409, "graph_condition", 1)
    assert (await client.get(f"{people}/nodes/eve")).json()["code"] == "node_not_found"


async def test_an_edge_to_a_node_that_is_not_there_is_refused(client: httpx2.AsyncClient, people: str) -> None:
    refused = await client.post(f"{people}/apply", json={"ops": [KNOWS | {"dst": "nobody"}]})

    assert (refused.status_code, refused.json()["code"], refused.json()["failed"]) == (409, "graph_condition", 0)


async def test_64_bit_integers_survive(client: httpx2.AsyncClient, people: str) -> None:
    large, small = 2**63 - 1, -(2**63)
    await client.post(f"{people}/apply", json={"ops": [ADA | {"props": {"large": large, "small": small}}]})

    node = (await client.get(f"{people}/nodes/ada")).json()
    asked = {"cypher": "MATCH (n {id: 'ada'}) RETURN n.large, n.small, $given", "params": {"given": large}}
    answer = (await client.post(f"{people}/query", json=asked)).json()

    assert node["props"] == {"large": large, "small": small}
    assert answer["rows"] == [[large, small, large]]


@pytest.mark.parametrize("name", ["Acme/Corp", "acme_corp", "日本", "🦜/…?#%", "a b", "x" * 300, "🦜" * 512, "…/../x"])
async def test_any_name_can_be_that_of_a_graph_and_of_a_node(client: httpx2.AsyncClient, name: str) -> None:
    address = f"/v1/graphs/{quote(name, safe='')}"
    node = {"op": "upsert_node", "id": name, "label": "Thing", "props": {"name": name}}

    await client.post("/v1/graphs", json={"graph": name})
    await client.post(f"{address}/apply", json={"ops": [node]})

    assert (await client.get(f"{address}/nodes/{quote(name, safe='')}")).json()["id"] == name
    assert (await client.get(address)).json()["graph"] == name
    assert [each["graph"] for each in (await client.get("/v1/graphs")).json()["graphs"]] == [name]
    assert (await client.delete(address, params={"confirm": name})).status_code == 204


async def test_names_that_only_look_alike_are_two_graphs(client: httpx2.AsyncClient) -> None:
    for name in ("Acme/Corp", "acme_corp"):
        await client.post("/v1/graphs", json={"graph": name})
    await client.post("/v1/graphs/Acme%2FCorp/apply", json={"ops": [ADA]})

    counts = [(await client.get(f"/v1/graphs/{name}")).json()["nodes"] for name in ("Acme%2FCorp", "acme_corp")]

    assert counts == [1, 0]


async def test_nodes_are_listed_by_id_page_by_page(client: httpx2.AsyncClient, people: str) -> None:
    await client.post(f"{people}/apply", json={"ops": [{"op": "upsert_node", "id": "acme", "label": "Company"}]})

    first = (await client.get(f"{people}/nodes?limit=2")).json()
    second = (await client.get(f"{people}/nodes?limit=2&cursor={first['next']}")).json()
    of_label = (await client.get(f"{people}/nodes?label=Person")).json()

    assert [[each["id"] for each in page["nodes"]] for page in (first, second)] == [["acme", "ada"], ["bob"]]
    assert [each["id"] for each in of_label["nodes"]] == ["ada", "bob"]


async def test_a_search_finds_words_and_vectors(client: httpx2.AsyncClient, people: str) -> None:
    cpp = {"op": "upsert_node", "id": "cpp", "label": "Language", "props": {"name": "C++"}, "vectors": {"v": [1, 0]}}
    art = {"op": "upsert_node", "id": "art", "label": "Idea", "props": {"name": "state-of-the-art"}}
    await client.post(f"{people}/apply", json={"ops": [cpp, art]})

    by_text = [
        (await client.post(f"{people}/search", json={"text": text})).json() for text in ("C++", "state-of-the-art")
    ]
    by_vector = await client.post(f"{people}/search", json={"vector": {"name": "v", "values": [1, 0.1]}})

    assert [[hit["node"]["id"] for hit in each["hits"]] for each in by_text] == [["cpp"], ["art"]]
    assert [hit["node"]["id"] for hit in by_vector.json()["hits"]] == ["cpp"]


@pytest.mark.parametrize(
    ("function", "answer"),
    [("fail", (503, "embedder_failed", False)), ("fail_for_want_of_a_server", (503, "embedder_away", True))],
)
async def test_a_search_whose_vector_cannot_be_made_says_so_and_not_how(
    open_gateway: OpenGateway, people: str, function: str, answer: tuple[int, str, bool]
) -> None:
    client = await open_gateway(embedder=f"tests.harness.toy_embedder:{function}")

    for path in ("search", "recall"):
        refused = await client.post(f"{people}/{path}", json={"text": "medic"})
        told = refused.json()
        assert (refused.status_code, told["code"], told["retryable"]) == answer
        assert "secret" not in refused.text
        assert "models.internal" not in refused.text
    by_vector = await client.post(f"{people}/search", json={"text": "ada", "vector": {"name": "v", "values": [1]}})
    assert [hit["node"]["id"] for hit in by_vector.json()["hits"]] == ["ada"]


async def test_a_summary_tells_labels_types_and_props(client: httpx2.AsyncClient, people: str) -> None:
    summary = (await client.get(f"{people}/summary")).json()

    assert summary == {
        "nodes": [{"label": "Person", "total": 2, "props": {"born": 2}}],
        "edges": [{"label": "KNOWS", "total": 1, "props": {"since": 1}}],
        "text": "Nodes: Person 2 (born 2)\nEdges: KNOWS 1 (since 1)",
    }


async def test_a_recall_is_what_is_found_and_what_is_around_it_within_a_budget(
    client: httpx2.AsyncClient, people: str
) -> None:
    whole = (await client.post(f"{people}/recall", json={"text": "ada"})).json()
    short = (await client.post(f"{people}/recall", json={"text": "ada", "budget_tokens": 12})).json()

    assert whole["text"].splitlines() == [fact["text"] for fact in whole["facts"]]
    assert {tuple(fact["ids"]) for fact in whole["facts"]} == {("ada",), ("bob",), ("ada", "bob")}
    assert whole["is_cut"] is False
    assert 0 < short["tokens"] <= 12 < whole["tokens"]


async def test_an_export_is_whole_and_says_so(client: httpx2.AsyncClient, people: str) -> None:
    answer = await client.get(f"{people}/export")

    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line.get("id") for line in lines if line.get("label") == "Person"] == ["ada", "bob"]
    body, end = answer.content.rstrip(b"\n").rsplit(b"\n", 1)
    assert hashlib.sha256(body + b"\n").hexdigest() in end.decode()


async def test_a_graph_is_deleted_when_it_is_named_again_and_a_new_one_is_empty(
    client: httpx2.AsyncClient, people: str
) -> None:
    unconfirmed = [await client.delete(people), await client.delete(f"{people}?confirm=People")]
    deleted = await client.delete(f"{people}?confirm=people")
    gone = [await client.get(people), await client.delete(f"{people}?confirm=people")]
    await client.post("/v1/graphs", json={"graph": "people"})

    assert [(each.status_code, each.json()["code"]) for each in unconfirmed] == [(422, "unconfirmed")] * 2
    assert deleted.status_code == 204
    assert [(each.status_code, each.json()["code"]) for each in gone] == [(404, "graph_not_found")] * 2
    assert (await client.get(people)).json()["nodes"] == 0


async def test_a_session_names_its_own_graph_once_it_has_one(
    client: httpx2.AsyncClient, rows: Rows, settings: Settings, tenant: str
) -> None:
    session_id = await rows.session("a/b")
    before = (await client.get("/v1/sessions/a%2Fb")).json()

    async with graphs_of_worker(settings) as graphs:
        await graphs.create(tenant, own_graph_of("default", "a/b"), session_id=session_id)
    after = (await client.get("/v1/sessions/a%2Fb")).json()

    assert before["graph"] is None
    assert (await client.get(f"/v1/graphs/{quote(after['graph'], safe='')}")).json()["graph"] == after["graph"]

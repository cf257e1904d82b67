"""Whatever a client asks of graphs gets a clear problem: the right status and code, never a 500."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2
import pytest

from argosy.config import Settings
from tests.gateway.graph_shard import ShardOfTest, shard_served
from tests.shards.views import ENDLESS

GRAPHS = "/v1/graphs"
APPLY, QUERY, SEARCH, NEIGHBORS = (f"{GRAPHS}/g/{what}" for what in ("apply", "query", "search", "neighbors"))
MERGED_EDGE = {"op": "merge_props", "src": "a", "type": "T", "dst": "b", "props": {}}
DEEP = b"[" * 64 + b"]" * 64
DEEP_PARAMS = b'{"cypher":"RETURN $x","params":{"x":%b}}' % DEEP
LONG = "x" * 70_000
NODE = {"op": "upsert_node", "id": "ada", "label": "Person"}


class Bad(NamedTuple):
    """One bad request and what must be answered. says: in its detail."""

    name: str
    status: int
    code: str
    url: str
    body: Any = None
    says: str = ""
    content: bytes | None = None
    method: str = "POST"


def ops(*each: Any) -> dict[str, Any]:
    return {"ops": list(each)}


def raw_props(props: bytes) -> bytes:
    return b'{"ops":[{"op":"upsert_node","id":"a","label":"L","props":{"x":%b}}]}' % props


def get(name: str, status: int, code: str, url: str, says: str = "") -> Bad:
    return Bad(name, status, code, url, says=says, method="GET")


TABLE = [
    Bad("a graph without a name", 422, "invalid_request", GRAPHS, {}),
    Bad("a graph with an empty name", 422, "invalid_graph", GRAPHS, {"graph": ""}),
    Bad("a graph of dots", 422, "invalid_graph", GRAPHS, {"graph": ".."}, "no URL can hold it"),
    Bad("a graph with a newline", 422, "invalid_graph", GRAPHS, {"graph": "a\nb"}, "control characters"),
    Bad("a graph of 513 characters", 422, "invalid_graph", GRAPHS, {"graph": "x" * 513}, "512 characters"),
    Bad("a session's own graph", 422, "invalid_graph", GRAPHS, {"graph": "session:default/s"}, "turns of the session"),
    Bad("a graph of no time", 422, "invalid_graph_input", GRAPHS, {"graph": "g", "ttl_s": 0}, "ttl_s"),
    Bad("a field that is none", 422, "invalid_request", GRAPHS, {"graph": "g", "shards": 2}),
    Bad("no JSON", 400, "invalid_json", GRAPHS, content=b"{"),
    get("an unknown graph", 404, "graph_not_found", f"{GRAPHS}/nowhere"),
    get("a graph of encoded dots", 422, "invalid_graph", f"{GRAPHS}/%2E%2E"),
    get("a graph that is not UTF-8", 400, "invalid_parameter", f"{GRAPHS}/%FF"),
    get("a graph with NUL", 422, "invalid_graph", f"{GRAPHS}/%00"),
    get("a graph with a bare slash", 404, "not_found", f"{GRAPHS}/Acme/Corp"),
    get("an unknown node", 404, "node_not_found", f"{GRAPHS}/g/nodes/nobody"),
    get("a node of encoded dots", 422, "invalid_graph_input", f"{GRAPHS}/g/nodes/%2E"),
    get("a node of an unknown graph", 404, "graph_not_found", f"{GRAPHS}/nowhere/nodes/ada"),
    get("the export of an unknown graph", 404, "graph_not_found", f"{GRAPHS}/nowhere/export"),
    get("a cursor of another list", 400, "invalid_cursor", f"{GRAPHS}/g/nodes?cursor=AAAAAAAAAAAAAAAA"),
    get("an unknown parameter", 400, "invalid_parameter", f"{GRAPHS}/g?verbose=1"),
    Bad("a batch for an unknown graph", 404, "graph_not_found", f"{GRAPHS}/nowhere/apply", ops(NODE)),
    Bad("no operations", 422, "invalid_graph_input", APPLY, ops(), "1 to 10000"),
    Bad("too many operations", 413, "graph_too_large", APPLY, ops(*[NODE] * 10_001), "1 to 10000"),
    Bad("operations that are none", 422, "invalid_graph_input", APPLY, {"ops": 7}, "Expected `array`"),
    Bad("an unknown operation", 422, "invalid_graph_input", APPLY, ops({"op": "drop"}), "drop"),
    Bad("an unknown field", 422, "invalid_graph_input", APPLY, ops(NODE | {"name": 1}), "name"),
    Bad("an empty id", 422, "invalid_graph_input", APPLY, ops(NODE, NODE | {"id": ""}), "ops[1]: id"),
    Bad("NaN", 400, "invalid_json", APPLY, content=raw_props(b"NaN")),
    Bad("2^63", 422, "invalid_graph_input", APPLY, says="64 bits", content=raw_props(b"9223372036854775808")),
    Bad("a number no double holds", 422, "invalid_graph_input", APPLY, content=raw_props(b"1e999")),
    Bad("a lone surrogate", 400, "invalid_json", APPLY, content=raw_props(b'"\\ud800 and more text"')),
    Bad("very deep lists", 400, "invalid_json", APPLY, content=raw_props(b"[" * 100_000 + b"]" * 100_000)),
    Bad("deep lists", 422, "invalid_graph_input", APPLY, says="nested deeper", content=raw_props(DEEP)),
    Bad("props over 1 MiB", 413, "graph_too_large", APPLY, ops(NODE | {"props": {"x": "y" * 2**20}}), "1048576"),
    Bad("a key with a space", 422, "invalid_request", APPLY, ops(NODE) | {"idempotency_key": "a b"}),
    Bad("nine vectors", 413, "graph_too_large", APPLY, ops(NODE | {"vectors": {f"v{i}": [1] for i in range(9)}})),
    Bad("a vector of nothing", 422, "invalid_graph_input", APPLY, ops(NODE | {"vectors": {"v": []}})),
    Bad("no vectors to keep others with", 422, "invalid_graph_input", APPLY, ops(NODE | {"keep_vectors": True})),
    Bad("an edge's vector", 422, "invalid_graph_input", APPLY, ops(MERGED_EDGE | {"vectors": {"v": [1]}})),
    Bad("no Cypher", 422, "invalid_cypher", QUERY, {"cypher": "MATCH (n RETURN n"}),
    Bad("an empty query", 422, "invalid_cypher", QUERY, {"cypher": ""}),
    Bad("a query that writes", 422, "invalid_cypher", QUERY, {"cypher": "CREATE (n:Person {id: 'eve'})"}),
    Bad("a query that reads files", 422, "invalid_cypher", QUERY, {"cypher": "LOAD CSV FROM '/etc/x' AS l RETURN 1"}),
    Bad("a missing parameter", 422, "invalid_cypher", QUERY, {"cypher": "MATCH (n {id: $id}) RETURN n"}, "id"),
    Bad("parameters that are none", 422, "invalid_request", QUERY, {"cypher": "RETURN 1", "params": [1]}),
    Bad("deep parameters", 422, "invalid_graph_input", QUERY, says="nested deeper", content=DEEP_PARAMS),
    Bad("a query over its bound", 413, "graph_too_large", QUERY, {"cypher": "RETURN 1 //" + LONG}, "65536"),
    Bad("much for a query", 413, "graph_too_large", QUERY, {"cypher": "RETURN 1", "params": {"x": LONG}}, "65536"),
    Bad("a query of 10 MB", 413, "payload_too_large", QUERY, {"cypher": "x" * 10_000_000}),
    Bad("a query of an unknown graph", 404, "graph_not_found", f"{GRAPHS}/nowhere/query", {"cypher": "RETURN 1"}),
    Bad("a limit of nothing", 422, "invalid_request", QUERY, {"cypher": "RETURN 1", "limit": 0}),
    Bad("a limit over its bound", 413, "graph_too_large", QUERY, {"cypher": "RETURN 1", "limit": 10_001}, "10000"),
    Bad("a huge limit", 422, "invalid_request", QUERY, {"cypher": "RETURN 1", "limit": 1e18}),
    Bad("half a limit", 422, "invalid_request", SEARCH, {"text": "ada", "limit": 1.5}),
    Bad("neighbours of nobody", 422, "invalid_request", NEIGHBORS, {"ids": []}),
    Bad("neighbours far away", 422, "invalid_request", NEIGHBORS, {"ids": ["ada"], "depth": 9}),
    Bad("neighbours of many types", 413, "graph_too_large", NEIGHBORS, {"ids": ["ada"], "types": ["T"] * 65}, "64"),
    Bad("neighbours that way", 422, "invalid_request", NEIGHBORS, {"ids": ["ada"], "direction": "up"}),
    Bad("a search for a number", 422, "invalid_request", SEARCH, {"text": 7}),
    Bad("a vector without a name", 422, "invalid_request", SEARCH, {"vector": {"values": [1.0]}}),
    Bad("a recall without a text", 422, "invalid_request", f"{GRAPHS}/g/recall", {}),
    Bad("a recall of nothing", 422, "invalid_request", f"{GRAPHS}/g/recall", {"text": "ada", "budget_tokens": 0}),
    Bad("a delete of nothing", 422, "unconfirmed", f"{GRAPHS}/g", method="DELETE"),
    Bad("a delete of an unknown graph", 404, "graph_not_found", f"{GRAPHS}/nowhere?confirm=nowhere", method="DELETE"),
    Bad("another method", 405, "method_not_allowed", APPLY, method="GET"),
]  # fmt: skip


@pytest.fixture(autouse=True)
async def shard(settings: Settings, tmp_path: Path, client: httpx2.AsyncClient) -> AsyncIterator[ShardOfTest]:
    """A shard with a graph `g`."""
    async with shard_served(settings, tmp_path / "shard") as served:
        assert (await client.post(GRAPHS, json={"graph": "g"})).status_code == 200
        yield served


async def test_bad_input_is_a_clear_error(client: httpx2.AsyncClient) -> None:
    for bad in TABLE:
        content = json.dumps(bad.body).encode() if bad.body is not None else bad.content

        answer = await client.request(bad.method, bad.url, content=content)

        assert (answer.status_code, answer.json()["code"]) == (bad.status, bad.code), (bad.name, answer.text)
        assert bad.says in answer.json()["detail"], (bad.name, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["retryable"] is False


async def test_an_error_in_a_query_has_its_place(client: httpx2.AsyncClient) -> None:
    misspelt = (await client.post(QUERY, json={"cypher": "MATCH (n)\nRETRUN n"})).json()
    unknown = (await client.post(QUERY, json={"cypher": "MATCH (n)\nRETURN m"})).json()

    assert (misspelt["status"], misspelt["code"], misspelt["line"]) == (422, "invalid_cypher", 2)
    assert misspelt["column"] >= 1
    assert (unknown["code"], unknown["line"], unknown["column"]) == ("invalid_cypher", 2, 8)
    assert unknown["detail"] == "line 2, column 8: Undefined variable 'm'"


async def test_an_answer_with_more_rows_than_were_asked_for_is_refused_or_cut_off(client: httpx2.AsyncClient) -> None:
    asked = {"cypher": "UNWIND range(1, 1500) AS n RETURN n"}

    refused = await client.post(QUERY, json=asked)
    cut = (await client.post(QUERY, json=asked | {"limit": 3})).json()

    assert (refused.status_code, refused.json()["code"]) == (413, "graph_too_large")
    assert "LIMIT" in refused.json()["detail"]
    assert cut == {"columns": ["n"], "rows": [[1], [2], [3]], "is_cut": True}


async def test_a_query_that_takes_too_long_is_stopped_in_time(client: httpx2.AsyncClient) -> None:
    client.state.graphs.timeout_s = 1.5  # type: ignore[attr-defined]

    answer = await client.post(QUERY, json={"cypher": ENDLESS})
    after = await client.post(QUERY, json={"cypher": "MATCH (n) RETURN count(n)"})

    assert (answer.status_code, answer.json()["code"]) == (504, "graph_deadline")
    assert answer.json()["retryable"] is True
    assert after.status_code in (200, 503)  # what answers may have been killed, and is made again


async def test_two_keys_for_one_batch_are_refused(client: httpx2.AsyncClient) -> None:
    batch = {"ops": [NODE], "idempotency_key": "a"}

    answer = await client.post(APPLY, json=batch, headers={"idempotency-key": "b"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_props_of_1_mib_are_taken_and_shown(client: httpx2.AsyncClient) -> None:
    node = NODE | {"props": {"x": "y" * (2**20 - 8)}}

    applied = await client.post(APPLY, json={"ops": [node]})

    assert applied.status_code == 200, applied.text
    assert (await client.get(f"{GRAPHS}/g/nodes/ada")).json()["props"] == node["props"]


async def test_of_an_id_that_is_in_a_batch_twice_the_last_counts(client: httpx2.AsyncClient) -> None:
    await client.post(APPLY, json={"ops": [NODE | {"props": {"n": 1}}, NODE | {"props": {"n": 2}}]})

    assert (await client.get(f"{GRAPHS}/g/nodes/ada")).json()["props"] == {"n": 2}


@pytest.mark.parametrize("text", ["", '"', "AND OR NOT", "*", "a" * 65_536, "\0", "🦜", "NEAR(", "'; DROP TABLE nodes"])
async def test_no_text_is_an_invalid_search(client: httpx2.AsyncClient, text: str) -> None:
    answer = await client.post(SEARCH, json={"text": text})

    assert answer.json() == {"hits": []}


async def test_a_graph_with_a_long_name_and_a_node_with_a_long_id_have_an_address(client: httpx2.AsyncClient) -> None:
    name = "日" * 170
    await client.post(GRAPHS, json={"graph": name})
    await client.post(f"{GRAPHS}/{quote(name)}/apply", json={"ops": [NODE | {"id": name}]})

    answer = await client.get(f"{GRAPHS}/{quote(name)}/nodes/{quote(name)}")

    assert answer.json()["id"] == name

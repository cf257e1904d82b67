"""Sealed graphs over REST: made by choice, written and read as others, and never asked what needs values at a shard."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from argosy.config import Settings
from tests.gateway.conftest import OpenGateway
from tests.gateway.graph_shard import ShardOfTest, shard_served
from tests.gateway.rows import Rows

KEYS: Final = "11" * 32
WORD: Final = "swordfish"
OPS: Final[list[dict[str, Any]]] = [
    {"op": "upsert_node", "id": "ada", "label": "Person", "props": {"said": WORD, "large": 2**63 - 1}},
    {"op": "upsert_node", "id": "bob", "label": "Person"},
    {"op": "upsert_edge", "src": "ada", "type": "KNOWS", "dst": "bob", "props": {"why": WORD}},
]
ADDRESS: Final = "/v1/graphs/vault"


@pytest.fixture(autouse=True)
async def shard(settings: Settings, tmp_path: Path) -> AsyncIterator[ShardOfTest]:
    async with shard_served(settings, tmp_path / "shard") as served:
        yield served


@pytest.fixture
async def sealing(open_gateway: OpenGateway) -> httpx2.AsyncClient:
    """A client of a gateway with keys, whose tenant has a sealed graph."""
    client = await open_gateway(payload_keys=KEYS)
    made = await client.post("/v1/graphs", json={"graph": "vault", "sealed": True})
    assert (made.status_code, made.json()["sealed"]) == (200, True), made.text
    applied = await client.post(f"{ADDRESS}/apply", json={"ops": OPS, "idempotency_key": "k"})
    assert applied.json() == {"version": 1}, applied.text
    return client


async def test_clients_notice_nothing_and_the_shard_has_no_value(sealing: httpx2.AsyncClient, tmp_path: Path) -> None:
    again = await sealing.post(f"{ADDRESS}/apply", json={"ops": OPS, "idempotency_key": "k"})
    other = await sealing.post(f"{ADDRESS}/apply", json={"ops": OPS[:1], "idempotency_key": "k"})
    node = (await sealing.get(f"{ADDRESS}/nodes/ada")).json()
    nodes = (await sealing.get(f"{ADDRESS}/nodes")).json()["nodes"]
    around = (await sealing.post(f"{ADDRESS}/neighbors", json={"ids": ["ada"]})).json()
    summary = (await sealing.get(f"{ADDRESS}/summary")).json()
    copy = await sealing.get(f"{ADDRESS}/export")

    assert again.json() == {"version": 1}
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert node["props"] == nodes[0]["props"] == around["nodes"][0]["props"] == OPS[0]["props"]
    assert around["edges"][0]["props"] == {"why": WORD}
    assert summary["nodes"][0]["props"] == {"large": 1, "said": 1}
    assert copy.text.count(WORD) == 2
    assert (await sealing.get(ADDRESS)).json()["sealed"]
    files = [each for each in (tmp_path / "shard").rglob("*") if each.is_file()]
    assert b"$sealed:" in b"".join(each.read_bytes() for each in files)
    assert WORD.encode() not in b"".join(each.read_bytes() for each in files)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("query", {"cypher": "MATCH (n) RETURN n.said"}),
        ("search", {"text": WORD}),
        ("recall", {"text": WORD}),
        ("ingest", None),
    ],
)
async def test_what_needs_values_at_the_shard_is_409_and_a_retry_helps_nobody(
    sealing: httpx2.AsyncClient, path: str, body: object
) -> None:
    lines = {"content": json.dumps(OPS[0]), "headers": {"content-type": "application/x-ndjson"}}
    answer = await sealing.post(f"{ADDRESS}/{path}", **(lines if path == "ingest" else {"json": body}))
    problem = answer.json()

    assert (answer.status_code, problem["code"], problem["retryable"]) == (409, "graph_sealed", False), answer.text
    assert "'vault' is sealed: no" in problem["detail"]
    assert (await sealing.get(f"{ADDRESS}/ingest")).json()["jobs"] == []


async def test_a_graph_never_changes_from_one_kind_to_the_other(sealing: httpx2.AsyncClient) -> None:
    await sealing.post("/v1/graphs", json={"graph": "open"})
    asked = [("vault", False), ("open", True), ("vault", True), ("open", False), ("vault", None), ("open", None)]

    answers = [await sealing.post("/v1/graphs", json={"graph": name, "sealed": sealed}) for name, sealed in asked]

    assert [each.status_code for each in answers] == [409, 409, 200, 200, 200, 200]
    assert {each.json()["code"] for each in answers[:2]} == {"graph_sealed"}
    listed = (await sealing.get("/v1/graphs")).json()["graphs"]
    assert {each["graph"]: each["sealed"] for each in listed} == {"vault": True, "open": False}


async def test_without_keys_no_sealed_graph_is_made(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/v1/graphs", json={"graph": "vault", "sealed": True})

    assert (refused.status_code, refused.json()["code"]) == (409, "graph_sealed")
    assert "PAYLOAD_KEYS" in refused.json()["detail"]
    assert (await client.get("/v1/graphs")).json()["graphs"] == []


async def test_values_are_410_once_the_tenants_keys_are_destroyed(
    sealing: httpx2.AsyncClient, open_gateway: OpenGateway, rows: Rows, tenant: str
) -> None:
    await rows.connection.fetchval("SELECT destroy_tenant_keys($1)", tenant)
    later = await open_gateway(payload_keys=KEYS)

    for path in ("/nodes/ada", "/nodes", "/export"):
        answer = await later.get(f"{ADDRESS}{path}")
        assert (answer.status_code, answer.json()["code"]) == (410, "payload_unreadable"), answer.text
    assert (await later.get(f"{ADDRESS}/nodes/bob")).json()["props"] == {}
    assert (await later.get(ADDRESS)).json()["nodes"] == 2

"""Access control lists of graphs and nodes, through gateways: tokens of several principals of one tenant."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from argosy.config import Settings
from argosy.gateway.app import create_app
from argosy.identity.scopes import Role, Scope
from tests.gateway.conftest import OpenGateway
from tests.gateway.graph_shard import shard_served
from tests.gateway.identity.conftest import OpenGuarded
from tests.gateway.identity.tokens import Made, Tokens

ENFORCED: Final = {"kg_auth_required": True, "kg_brain_enforce": True, "allow_tenant_header": False}
SCOPES: Final = (Scope.GRAPHS_READ, Scope.GRAPHS_WRITE, Scope.JOBS_READ, Scope.JOBS_WRITE)
MARK: Final = "kept-back"
NDJSON: Final = {"content-type": "application/x-ndjson"}


class World:
    """A gateway and a shard that enforce. boss: an administrator of the tenant; ada, bob: may ask graphs."""

    def __init__(self, client: httpx2.AsyncClient, boss: Made, ada: Made, bob: Made) -> None:
        self._client = client
        self.boss = boss
        self.ada = ada
        self.bob = bob

    async def audit(self) -> Any:
        """What the audit has, with what was denied until now."""
        await self._client.state.identity.audited.write()  # type: ignore[attr-defined]
        return (await self.ask(self.boss, "GET", "/../audit")).json()["entries"]

    async def ask(self, who: Made, method: str, path: str, **asked: Any) -> httpx2.Response:
        headers = who.headers | asked.pop("headers", {})
        return await self._client.request(method, f"/v1/graphs{path}", headers=headers, **asked)

    async def done(self, who: Made, method: str, path: str, **asked: Any) -> Any:
        answer = await self.ask(who, method, path, **asked)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.content else None

    async def refused(self, who: Made, method: str, path: str, **asked: Any) -> None:
        answer = await self.ask(who, method, path, **asked)
        assert (answer.status_code, answer.json()["code"]) == (403, "graph_forbidden"), answer.text
        assert MARK not in answer.text


@pytest.fixture
async def world(settings: Settings, open_guarded: OpenGuarded, tokens: Tokens, tmp_path: Path) -> AsyncIterator[World]:
    async with shard_served(settings.model_copy(update=ENFORCED), tmp_path / "shard"):
        client = await open_guarded(**ENFORCED)
        made = [await tokens.make(Role.TENANT)]
        made += [await tokens.make(None, scopes=SCOPES) for _ in range(2)]
        yield World(client, *made)


def user(made: Made) -> str:
    return f"user:{made.token_id}"


def person(node_id: str, **props: Any) -> dict[str, Any]:
    return {"op": "upsert_node", "id": node_id, "label": "Person", "props": props}


async def filled(world: World) -> None:
    """A graph that everybody may write to, with a node that only ada sees."""
    await world.done(world.boss, "POST", "", json={"graph": "people"})
    await world.done(world.boss, "PUT", "/people/acl", json={"acl": {"write": ["*"]}})
    hidden = person(f"{MARK}-x", note=MARK, _acl={"read": [user(world.ada)]})
    ops = [person("cy", note="seen"), hidden, {"op": "upsert_edge", "src": "cy", "type": MARK, "dst": f"{MARK}-x"}]
    await world.done(world.boss, "POST", "/people/apply", json={"ops": ops})


ASKS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("GET", "/people"): {},
    ("GET", "/people/acl"): {},
    ("GET", "/people/nodes"): {},
    ("GET", f"/people/nodes/{MARK}-x"): {},
    ("GET", "/people/summary"): {},
    ("GET", "/people/export"): {},
    ("GET", "/people/ingest"): {},
    ("POST", "/people/neighbors"): {"json": {"ids": ["cy"], "depth": 3}},
    ("POST", "/people/query"): {"json": {"cypher": "MATCH (n) RETURN count(n)"}},
    ("POST", "/people/search"): {"json": {"text": MARK}},
    ("POST", "/people/recall"): {"json": {"text": "cy"}},
}
CHANGES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("POST", "/people/apply"): {"json": {"ops": [person("new")]}},
    ("POST", "/people/ingest"): {"content": b'{"op": "delete_node", "id": "cy"}', "headers": NDJSON},
    ("PUT", "/people/acl"): {"json": {"acl": None}},
    ("DELETE", "/people?confirm=people"): {},
    ("POST", ""): {"json": {"graph": "people"}},
}


def test_every_route_of_a_graph_is_in_a_table(settings: Settings) -> None:
    """The jobs of a graph are asked by their ids, too: see below."""
    routes = {
        (method.upper(), path.removeprefix("/v1/graphs").format(graph="people", node=f"{MARK}-x"))
        for path, methods in create_app(settings).openapi()["paths"].items()
        for method in methods
        if path.startswith("/v1/graphs")
    }
    assert {(method, path.partition("?")[0]) for method, path in (*ASKS, *CHANGES)} | {("GET", "")} == routes


async def test_what_is_denied_is_shown_by_no_route(world: World) -> None:
    await filled(world)

    for (method, path), asked in ASKS.items():
        answer = await world.ask(world.bob, method, path, **asked)
        if path.endswith(f"{MARK}-x"):
            nobody = await world.ask(world.bob, method, path.replace(MARK, "nobody"), **asked)
            assert answer.text == nobody.text.replace("nobody", MARK)
            continue
        assert MARK not in answer.text, (path, answer.text)
        is_whole = path in ("/people/query", "/people/export")
        assert answer.status_code == (403 if is_whole else 200), (path, answer.text)
    assert (await world.done(world.bob, "GET", "/people"))["nodes"] == 1
    shown = await world.done(world.ada, "POST", "/people/neighbors", json={"ids": ["cy"]})
    assert [node["id"] for node in shown["nodes"]] == ["cy", f"{MARK}-x"]
    assert (await world.done(world.ada, "POST", "/people/query", json={"cypher": "MATCH (n) RETURN count(n)"}))[
        "rows"
    ] == [[2]]


async def test_who_has_no_right_to_a_graph_has_none_in_any_route(world: World) -> None:
    await filled(world)
    await world.done(world.boss, "PUT", "/people/acl", json={"acl": {"read": [user(world.ada)]}})

    for (method, path), asked in (ASKS | CHANGES).items():
        if path == "/people/acl" and method == "GET":
            assert await world.done(world.bob, method, path) == {"acl": None, "rights": []}
            continue
        await world.refused(world.bob, method, path, **asked)
    assert (await world.done(world.bob, "GET", ""))["graphs"] == []
    assert [graph["graph"] for graph in (await world.done(world.ada, "GET", ""))["graphs"]] == ["people"]
    for (method, path), asked in CHANGES.items():
        await world.refused(world.ada, method, path, **asked)
    assert (await world.done(world.boss, "GET", "/people"))["nodes"] == 2


async def test_who_makes_a_graph_says_who_else_may(world: World) -> None:
    await world.done(world.ada, "POST", "", json={"graph": "adas"})
    await world.refused(world.bob, "GET", "/adas")

    said = await world.done(world.ada, "PUT", "/adas/acl", json={"acl": {"read": ["*"], "admin": [user(world.ada)]}})

    assert said == {
        "acl": {"read": ["*"], "write": [], "admin": [user(world.ada)]},
        "rights": ["admin", "read", "write"],
    }
    assert (await world.done(world.bob, "GET", "/adas/acl")) == {"acl": None, "rights": ["read"]}
    await world.done(world.ada, "DELETE", "/adas?confirm=adas")


async def test_a_job_is_shown_to_those_who_may_see_its_graph(world: World) -> None:
    await filled(world)
    line = b'{"op": "upsert_node", "id": "new", "label": "Person"}'
    sent = await world.ask(world.boss, "POST", "/people/ingest", content=line, headers=NDJSON)
    job = f"/../ingest/{sent.json()['job_id']}"
    await world.refused(world.bob, "GET", f"{job}/rejects")
    await world.refused(world.bob, "POST", f"{job}/cancel")
    await world.done(world.boss, "PUT", "/people/acl", json={"acl": {"read": [user(world.ada)]}})
    await world.refused(world.bob, "GET", job)
    await world.refused(world.bob, "GET", f"{job}/events")
    assert (await world.ask(world.ada, "GET", job)).status_code == 200


async def test_a_token_that_takes_the_place_of_another_is_the_same_to_lists(world: World) -> None:
    await filled(world)
    made = world.ada
    for _ in range(2):
        answer = await world.ask(world.boss, "POST", f"/../tokens/{made.token_id}/rotate")
        assert (answer.status_code, answer.json()["label"]) == (201, user(world.ada)), answer.text
        made = Made(answer.json()["token"], uuid.UUID(answer.json()["token_id"]))
        said = await world.done(made, "GET", "/../whoami")
        assert (said["id"], said["labels"]) == (str(made.token_id), [user(world.ada)])
        assert (await world.done(made, "GET", "/people"))["nodes"] == 2
    assert made.token_id != world.ada.token_id

    await world.ask(made, "POST", "", json={"graph": "mine"})

    assert (await world.done(world.ada, "GET", "/mine/acl"))["acl"]["admin"] == [user(world.ada)]
    await world.refused(world.bob, "GET", "/mine")


async def test_a_role_of_a_token_is_a_label(world: World, tokens: Tokens) -> None:
    await filled(world)
    await world.done(world.boss, "PUT", "/people/acl", json={"acl": {"read": ["role:viewer"]}})
    viewer = await tokens.make(Role.VIEWER, scopes=SCOPES)

    assert (await world.done(viewer, "GET", "/people"))["nodes"] == 1
    await world.refused(world.ada, "GET", "/people")


async def test_lists_and_what_they_denied_are_in_the_audit(world: World) -> None:
    await filled(world)
    await world.done(world.boss, "PUT", "/people/acl", json={"acl": None})
    await world.refused(world.bob, "GET", "/people")

    acts = [(row["action"], row["target"] or row["reason"], row["actor_id"]) for row in await world.audit()]

    assert acts.count(("graph.acl", "people", str(world.boss.token_id))) == 2
    assert acts.count(("request", "graph_forbidden", str(world.bob.token_id))) == 1


@pytest.mark.parametrize("acl", [{"read": "ada"}, {"reads": []}, [], {"read": [""]}, {"read": ["a"] * 257}])
async def test_what_is_no_list_is_refused(world: World, acl: Any) -> None:
    await filled(world)

    answer = await world.ask(world.boss, "PUT", "/people/acl", json={"acl": acl})

    assert answer.status_code == 422
    assert (await world.done(world.boss, "GET", "/people/acl"))["acl"]["write"] == ["*"]


async def test_before_lists_are_enforced_administrators_set_them(
    settings: Settings, open_guarded: OpenGuarded, tokens: Tokens, tmp_path: Path
) -> None:
    async with shard_served(settings, tmp_path / "shard"):
        made = [await tokens.make(Role.TENANT), *[await tokens.make(None, scopes=SCOPES) for _ in range(2)]]
        world = World(await open_guarded(), *made)
        await world.done(world.ada, "POST", "", json={"graph": "people"})
        refused = await world.ask(world.ada, "PUT", "/people/acl", json={"acl": {}})
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        await world.done(world.boss, "PUT", "/people/acl", json={"acl": {"read": []}})
        assert (await world.done(world.bob, "GET", "/people"))["nodes"] == 0


async def test_it_is_turned_on_at_shards_first_and_refuses_nobody(
    settings: Settings, open_guarded: OpenGuarded, tokens: Tokens, tmp_path: Path
) -> None:
    known = {"kg_auth_required": True, "allow_tenant_header": False}
    enforced = {**ENFORCED, "kg_acl_default_allow": True}
    boss, ada = await tokens.make(Role.TENANT), await tokens.make(None, scopes=SCOPES)
    for number, (of_shard, of_gateway) in enumerate(((known, known), (enforced, known), (enforced, enforced))):
        async with shard_served(settings.model_copy(update=of_shard), tmp_path / str(number)):
            world = World(await open_guarded(**of_gateway), boss, ada, ada)
            for graph, maker in (("bosses", boss), ("adas", ada)):
                await world.done(maker, "POST", "", json={"graph": graph})
            await world.done(boss, "PUT", "/bosses/acl", json={"acl": {"write": [user(ada)]}})
            for graph in ("bosses", "adas"):
                await world.done(ada, "POST", f"/{graph}/apply", json={"ops": [person("cy")]})
                assert (await world.done(ada, "GET", f"/{graph}"))["nodes"] == 1
                answer = await world.done(ada, "POST", f"/{graph}/query", json={"cypher": "MATCH (n) RETURN n.id"})
                assert answer["rows"] == [["cy"]]


async def test_a_gateway_and_a_shard_of_which_one_enforces_lists_serve_nobody(
    settings: Settings, open_gateway: OpenGateway, open_guarded: OpenGuarded, tokens: Tokens, tmp_path: Path
) -> None:
    """Shards that enforce are the last place: a gateway with other settings opens nothing. Nor is anything open at a
    shard with other settings than its gateway.
    """
    async with shard_served(settings.model_copy(update=ENFORCED), tmp_path / "shard"):
        client = await open_gateway()
        await client.post("/v1/graphs", json={"graph": "people"})
        answer = await client.get("/v1/graphs/people/nodes")
        assert (answer.status_code, answer.json()["code"]) == (503, "lists_disagree")
        assert "KG_BRAIN_ENFORCE" in answer.json()["detail"]
    async with shard_served(settings, tmp_path / "other"):
        client, boss = await open_guarded(**ENFORCED), await tokens.make(Role.TENANT)
        answer = await client.post("/v1/graphs", json={"graph": "people"}, headers=boss.headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "lists_disagree"), answer.text
        operator = await tokens.make_operator()
        (shard,) = (await client.get("/v1/fleet/shards", headers=operator.headers)).json()["shards"]
        assert shard["is_up"]
        assert "KG_BRAIN_ENFORCE" in shard["reason"]

"""What turns reach where access control lists are enforced: over gRPC, on a real shard."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.errors import GraphForbiddenError, ListsDisagreeError, SettingError
from argosy.graph.acl import GraphAcl
from argosy.graph.asker import FLEET
from argosy.graph.facts import FencingToken, Member, Source
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.names import own_graph_of
from argosy.graph.ops import UpsertNode
from argosy.graph.transports.connect import connect_to_shards
from argosy.identity.principal import Principal, PrincipalKind, local
from argosy.identity.scopes import Scope
from argosy.identity.turn_principal import TurnPrincipal, principal_of_turn, recorded
from argosy.secret import load_keys
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.server import ShardServer
from argosy.store.graph import Directory
from argosy.workers.dispatch.execution.around import asker_of_turn
from argosy.workflow.graphs import LaneGraphs, TurnGraphs

TENANT: Final = "acme"
OWN: Final = own_graph_of("default", "chat")
ADA: Final = Principal(PrincipalKind.TOKEN, "ada", TENANT, frozenset({Scope.TURNS_WRITE}))
BOSS: Final = Principal(PrincipalKind.JWT, "boss", TENANT, frozenset({Scope.TURNS_WRITE, Scope.GRAPHS_ADMIN}))


KNOWN: Final = {"KG_AUTH_REQUIRED": "1"}
ENFORCED: Final = {**KNOWN, "KG_BRAIN_ENFORCE": "1"}


@asynccontextmanager
async def served(
    directory: Directory, folder: Path, of_shard: Mapping[str, str], of_worker: Mapping[str, str]
) -> AsyncIterator[Graphs]:
    """The graphs as a worker has them, with settings of its own."""
    placed: dict[str, Any] = {"shard_dir": str(folder / "shard"), "shard_port": 0, "argosy_data_dir": folder}
    settings, clock = config.load(of_shard, **placed), SystemClock()
    engine = open_engine(settings, is_own_process=False)
    shard = open_shard(settings, engine, clock)
    server = ShardServer(shard, engine.member_id, load_keys("", folder).shards, clock, settings)
    await server.start()
    await directory.seed([Member(engine.member_id, server.address)])
    settings = config.load(of_worker, **placed)
    members = Members(directory, connect_to_shards(settings, clock), settings, clock)
    try:
        yield Graphs(directory, members, settings, clock)
    finally:
        await members.close()
        await server.stop(0)
        await shard.end()


@pytest.fixture
async def graphs(directory: Directory, tmp_path: Path) -> AsyncIterator[Graphs]:
    async with served(directory, tmp_path, ENFORCED, ENFORCED) as graphs:
        yield graphs


def turn_of(graphs: Graphs, who: Principal | None, own: str = OWN) -> TurnGraphs:
    """The graphs of a turn, as its row says who posted it."""
    posted: TurnPrincipal | None = principal_of_turn(None if who is None else recorded(who), TENANT)
    lane = LaneGraphs(graphs, "default", None, asyncio.get_running_loop(), 0)
    token = FencingToken(uuid.uuid5(uuid.NAMESPACE_OID, own), 1, 1, 1)
    return TurnGraphs(lane, TENANT, own, token, "chat", posted, asker_of_turn(posted, own))


async def write(turn: TurnGraphs, name: str | None) -> int:
    incarnation = (await turn.create(name)).incarnation
    ops = [UpsertNode("ada", "Person")]
    return (await turn.of(name, incarnation).apply(ops, key=None, token=turn.token, source=Source())).version


async def read(turn: TurnGraphs, name: str | None) -> bool:
    return (await turn.of(name).get_nodes(["ada"])) != [None]


@pytest.mark.parametrize("who", [None, local(TENANT, is_operator=True), ADA], ids=["nobody knows", "local", "ada"])
async def test_a_session_s_own_graph_is_its_turns_whoever_posted_them(graphs: Graphs, who: Principal | None) -> None:
    assert await write(turn_of(graphs, who), None) == 1
    assert await read(turn_of(graphs, None), None)
    with pytest.raises(GraphForbiddenError):
        await read(turn_of(graphs, who, own_graph_of("default", "other")), OWN)


async def test_a_turn_has_what_is_open_to_its_principal_and_to_turns(graphs: Graphs) -> None:
    await graphs.create(TENANT, "people")
    people = graphs.of(TENANT, "people", asker=FLEET)
    posted = [None, local(TENANT, is_operator=True), ADA, BOSS]

    async def able(acl: GraphAcl | None) -> list[bool]:
        await people.set_acl(acl)
        found = []
        for who in posted:
            try:
                await read(turn_of(graphs, who), "people")
                found.append(True)
            except GraphForbiddenError:
                found.append(False)
        return found

    assert await able(None) == [False, False, False, True]
    assert await able(GraphAcl(read=("user:ada",))) == [False, False, True, True]
    assert await able(GraphAcl(read=("*",))) == [False, False, True, True]
    assert await able(GraphAcl(read=("turns",))) == [True, True, True, True]
    assert await able(GraphAcl(read=("user:local", "user:"))) == [False, False, False, True]
    posted.append(ADA._replace(id="adas-next-token", subject="ada"))
    assert await able(GraphAcl(read=("user:ada",))) == [False, False, True, True, True]
    assert await able(GraphAcl(read=("user:adas-next-token",))) == [False, False, False, True, False]


async def test_who_makes_a_graph_in_a_turn_has_it(graphs: Graphs) -> None:
    assert await write(turn_of(graphs, ADA), "adas") == 1

    assert await read(turn_of(graphs, ADA, own_graph_of("default", "later")), "adas")
    for other in (None, ADA._replace(id="bob")):
        with pytest.raises(GraphForbiddenError):
            await read(turn_of(graphs, other), "adas")


async def test_a_turn_uploads_where_it_is_an_administrator(graphs: Graphs) -> None:
    await graphs.create(TENANT, "people")
    await graphs.of(TENANT, "people", asker=FLEET).set_acl(GraphAcl(write=("*",)))

    with pytest.raises(GraphForbiddenError, match="admin"):
        await turn_of(graphs, ADA).start_ingest("people", b"{}", "key")


@pytest.mark.parametrize(
    ("of_worker", "error"), [(KNOWN, GraphForbiddenError), ({}, ListsDisagreeError)], ids=["known", "open"]
)
async def test_lists_hold_for_uploads_of_turns_before_workers_enforce_them(
    directory: Directory, tmp_path: Path, of_worker: Mapping[str, str], error: type[Exception]
) -> None:
    async with served(directory, tmp_path, ENFORCED, of_worker) as graphs:
        await graphs.create(TENANT, "people")
        await graphs.of(TENANT, "people", asker=FLEET).set_acl(GraphAcl(write=("*",)))

        with pytest.raises(error):
            await turn_of(graphs, ADA).start_ingest("people", b"{}", "key")
        if of_worker:
            with pytest.raises(SettingError, match="nothing is uploaded from here"):  # it is let through
                await turn_of(graphs, BOSS).start_ingest("people", b"{}", "key")


async def test_lists_hold_at_shards_before_workers_enforce_them(directory: Directory, tmp_path: Path) -> None:
    """So nobody is refused who may: shards are the first that are set to enforce."""
    async with served(directory, tmp_path, ENFORCED, KNOWN) as graphs:
        assert await write(turn_of(graphs, ADA), None) == 1
        await graphs.create(TENANT, "people")
        with pytest.raises(GraphForbiddenError):
            await read(turn_of(graphs, ADA), "people")
        await graphs.of(TENANT, "people", asker=FLEET).set_acl(GraphAcl(read=("user:ada",)))
        assert not await read(turn_of(graphs, ADA), "people")


async def test_turns_wait_for_a_shard_that_enforces_no_lists(directory: Directory, tmp_path: Path) -> None:
    """It is not taken for one that is away, which it is not."""
    async with served(directory, tmp_path, KNOWN, ENFORCED) as graphs:
        shard = (await graphs.create(TENANT, "people")).shard
        for who in (None, ADA, BOSS):
            with pytest.raises(ListsDisagreeError):
                await read(turn_of(graphs, who), "people")
            with pytest.raises(ListsDisagreeError):
                await write(turn_of(graphs, who), None)
        assert graphs.is_shard_up(shard)
        assert "KG_BRAIN_ENFORCE" in graphs.why_not(shard)

"""A shard that enforces access control lists: in this process, and over gRPC.

READS has every way to see something of a graph; a call that is neither there nor accounted for fails the suite.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from argosy.errors import GraphForbiddenError, GraphInputError, ListsDisagreeError
from argosy.graph.acl import ALL, GraphAcl, Right
from argosy.graph.asker import FLEET, Asker, turn_asker
from argosy.graph.facts import Applied, GraphRef
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertNode
from argosy.graph.transport import Transport
from argosy.rpc import shard_pb2 as pb
from argosy.shards.guarded import OF_FILES, RIGHTS
from tests.shards.engines import Opened, new_ref
from tests.shards.guarded_calls import (
    ADA,
    BOB,
    BOSS,
    COPIES,
    FACTS,
    MARK,
    NAMES,
    OPEN_LIST,
    OTHERS,
    READS,
    WRITES,
    Read,
    X,
    by,
    edge,
    exported,
    hidden,
    node,
)
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, shard_of

ENFORCED: Final = {"kg_brain_enforce": True, "kg_auth_required": True}


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def transport(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    async with request.param(opened(tmp_path), **ENFORCED) as transport:
        yield transport


@pytest.fixture
async def people(transport: Transport) -> GraphRef:
    """A graph that everybody may write to, with nodes that only ADA and administrators see."""
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    await transport.set_acl(by(ref, FLEET), OPEN_LIST, deadline_s=S)
    applied = await apply(transport, by(ref, FLEET), *FACTS)
    assert applied.version == 1
    return ref


def test_every_call_is_in_a_table() -> None:
    methods = {each for each in vars(Transport) if not each.startswith("_")} - {"close"}
    assert methods == RIGHTS.keys() | OF_FILES
    assert RIGHTS.keys() == READS.keys() | WRITES.keys() | OTHERS


def test_every_call_over_grpc_is_one_of_these() -> None:
    def name_of(method: str) -> str:
        snake = "".join(f"_{each.lower()}" if each.isupper() else each for each in method).lstrip("_")
        return NAMES.get(method, snake)

    methods = {each.name for each in pb.DESCRIPTOR.services_by_name["Shard"].methods} - COPIES
    assert {name_of(each) for each in methods} | {"scan_edges", "copies"} == RIGHTS.keys() | OF_FILES


ASKS: Final = [(f"{name}-{number}", read) for name, reads in READS.items() for number, read in enumerate(reads)]
by_ask = pytest.mark.parametrize("ask", [read for _, read in ASKS], ids=[name for name, _ in ASKS])


@by_ask
async def test_nothing_shows_what_is_denied(transport: Transport, people: GraphRef, ask: Read) -> None:
    """To BOB the graph is one in which what is hidden never was."""
    plain = new_ref(graph="plain")
    await transport.create(plain, deadline_s=S)
    await transport.set_acl(by(plain, FLEET), OPEN_LIST, deadline_s=S)
    await apply(transport, by(plain, FLEET), *(op for op in FACTS if MARK not in str(op)))
    if ask in (*READS["query"], *READS["export"], *READS["feeds"]):
        with pytest.raises(GraphForbiddenError) as raised:
            await ask(transport, by(people, BOB))
        assert MARK not in str(raised.value)
        return
    shown = await ask(transport, by(people, BOB))
    assert MARK not in str(shown)
    alike = await ask(transport, by(plain, BOB))
    if ask in READS["stats"]:
        assert (shown.node_count, shown.edge_count) == (alike.node_count, alike.edge_count) == (3, 1)
        return
    assert shown == alike


@by_ask
async def test_an_administrator_sees_everything(transport: Transport, people: GraphRef, ask: Read) -> None:
    assert await ask(transport, by(people, BOSS)) == await ask(transport, by(people, FLEET))


async def test_who_is_in_a_nodes_list_sees_it(transport: Transport, people: GraphRef) -> None:
    found = await transport.neighbors(by(people, ADA), ["cy"], depth=8, limit=100, deadline_s=S)
    assert {each.id for each in found.nodes} == {"cy", "dee", "eve", f"{MARK}-x", f"{MARK}-y"}
    answer = await transport.query(by(people, ADA), "MATCH (n) RETURN count(n)", {}, row_limit=1, deadline_s=S)
    assert answer.rows == [[5]]


@pytest.mark.parametrize("asker", [None, Asker(frozenset()), BOB], ids=["nobody says", "unknown", "not in the list"])
@pytest.mark.parametrize("acl", [None, GraphAcl(), GraphAcl(admin=("user:ada",))], ids=["no list", "nobody", "ada"])
async def test_who_has_no_right_to_a_graph_gets_nothing(
    transport: Transport, people: GraphRef, acl: GraphAcl | None, asker: Asker | None
) -> None:
    await transport.set_acl(by(people, FLEET), acl, deadline_s=S)
    before = await exported(transport, by(people, FLEET))
    for name, call in [*ASKS, *WRITES.items()]:
        if name.startswith("get_acl") and asker is not None:
            assert await call(transport, by(people, asker)) == (None, frozenset())
            continue
        with pytest.raises(ListsDisagreeError if asker is None else GraphForbiddenError):
            await call(transport, by(people, asker))
    assert await exported(transport, by(people, FLEET)) == before


async def test_who_may_read_may_not_write_and_who_may_write_may_not_administer(
    transport: Transport, people: GraphRef
) -> None:
    await transport.set_acl(by(people, FLEET), GraphAcl(read=("user:bob",), write=("role:staff",)), deadline_s=S)

    for asker, may in ((BOB, set[str]()), (ADA, {"apply"})):
        for name, write in WRITES.items():
            if name in may:
                assert (await write(transport, by(people, asker))).version
                continue
            with pytest.raises(GraphForbiddenError):
                await write(transport, by(people, asker))
    assert (await transport.get_acl(by(people, ADA), deadline_s=S)) == (None, frozenset({Right.READ, Right.WRITE}))


@pytest.mark.parametrize(
    "op",
    [
        UpsertNode(X, "Person"),
        UpsertNode(X, "Person", {"_acl": None}),
        UpsertNode(X, "Person", if_absent=True),
        MergeProps(id=X, props={"_acl": None}),
        DeleteNode(X),
        edge("cy", X),
        edge(X, "cy"),
        MergeProps(src="cy", type=MARK, dst=X, props={"a": 1}),
        DeleteEdge("cy", MARK, X),
        DeleteNode("owned"),
        edge("cy", "owned"),
    ],
    ids=str,
)
async def test_who_may_not_write_a_node_changes_nothing_of_it(transport: Transport, people: GraphRef, op: Op) -> None:
    await apply(transport, by(people, FLEET), node("owned", read=["*"]))
    before = await exported(transport, by(people, FLEET))

    with pytest.raises(GraphForbiddenError):
        await apply(transport, by(people, BOB), node("new"), op)

    assert await exported(transport, by(people, FLEET)) == before


async def test_within_a_batch_a_list_holds_from_where_it_is_given(transport: Transport, people: GraphRef) -> None:
    with pytest.raises(GraphForbiddenError, match="mine"):
        await apply(transport, by(people, BOB), node("mine", write=["user:ada"]), MergeProps(id="mine", props={"a": 1}))
    assert (await apply(transport, by(people, BOB), node("mine", write=["user:bob"]))).version
    assert (await apply(transport, by(people, BOB), edge("mine", "cy"), MergeProps(id="mine", props={"a": 1}))).version


async def test_a_node_does_not_lose_its_list_unnoticed(transport: Transport, people: GraphRef) -> None:
    with pytest.raises(GraphInputError, match="has a list"):
        await apply(transport, by(people, ADA), UpsertNode(X, "Person"))
    assert (await apply(transport, by(people, ADA), UpsertNode(X, "Person", {"_acl": None}))).version
    assert (await transport.get_nodes(by(people, BOB), [X], deadline_s=S))[0] is not None


@pytest.mark.parametrize("asker", [ADA, BOSS, FLEET], ids=["ada", "boss", "fleet"])
async def test_a_list_that_is_none_is_refused(transport: Transport, people: GraphRef, asker: Asker) -> None:
    with pytest.raises(GraphInputError, match=r"ops\[0\]: props._acl"):
        await apply(transport, by(people, asker), UpsertNode("new", "Person", {"_acl": "*"}))


async def test_what_is_hidden_while_a_query_runs_is_not_answered(transport: Transport, people: GraphRef) -> None:
    """A query is looked at before and after it."""
    await apply(transport, by(people, FLEET), DeleteNode(X), DeleteNode(f"{MARK}-y"))
    ask = READS["query"][0]
    assert len((await ask(transport, by(people, BOB))).rows) == 3

    async def hide() -> Applied:
        return await apply(transport, by(people, FLEET), hidden("z"))

    answers = await asyncio.gather(*(ask(transport, by(people, BOB)) for _ in range(4)), hide(), return_exceptions=True)
    assert isinstance(answers[-1], Applied)
    for answer in answers[:-1]:
        assert isinstance(answer, GraphForbiddenError) or MARK not in str(answer)
    with pytest.raises(GraphForbiddenError):
        await ask(transport, by(people, BOB))


async def test_a_search_goes_on_behind_what_it_does_not_see(transport: Transport) -> None:
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    await transport.set_acl(by(ref, FLEET), OPEN_LIST, deadline_s=S)
    await apply(transport, by(ref, FLEET), *(hidden(str(number), words="seen") for number in range(60)), node("cy"))

    for vector in (None, ("e", [1.0, 2.0])):
        found = await transport.search(by(ref, BOB), "seen", vector=vector, limit=1, deadline_s=S)
        assert [hit.node.id for hit in found] == ["cy"]
    found = await transport.search(by(ref, BOB), "", vector=("e", [1.0, 2.0]), limit=1, deadline_s=S)
    assert [hit.node.id for hit in found] == ["cy"]
    assert [each.id for each in await transport.scan(by(ref, BOB), limit=1, deadline_s=S)] == ["cy"]


async def test_who_makes_a_graph_is_its_administrator(transport: Transport) -> None:
    ref = new_ref()
    await transport.create(by(ref, ADA), deadline_s=S)
    await transport.create(by(ref, BOB), deadline_s=S)  # it is there already

    assert await transport.get_acl(by(ref, ADA), deadline_s=S) == (GraphAcl(admin=("user:ada",)), ALL)
    assert await transport.get_acl(by(ref, BOB), deadline_s=S) == (None, frozenset())


async def test_nobody_takes_a_graph_to_which_was_written(transport: Transport) -> None:
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    await apply(transport, by(ref, FLEET), node("cy"))

    await transport.create(by(ref, BOB), deadline_s=S)

    assert (await transport.get_acl(by(ref, FLEET), deadline_s=S)).acl is None


async def test_a_session_s_own_graph_is_its_turns_alone(transport: Transport) -> None:
    ref = new_ref(graph="session:default/chat")
    await transport.create(by(ref, turn_asker(ref.graph, None)), deadline_s=S)

    assert (await apply(transport, by(ref, turn_asker(ref.graph, None)), node("cy"))).version
    for asker in (turn_asker("session:default/other", "ada"), ADA, None):
        with pytest.raises(ListsDisagreeError if asker is None else GraphForbiddenError):
            await transport.get_nodes(by(ref, asker), ["cy"], deadline_s=S)


@pytest.mark.parametrize("over", [shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def test_graphs_without_a_list_are_open_where_a_setting_says_so(
    over: Any, opened: Opened, tmp_path: Path
) -> None:
    async with over(opened(tmp_path), **ENFORCED, kg_acl_default_allow=True) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        assert (await apply(shard, by(ref, BOB), node("cy"), hidden("x"))).version
        found = await shard.get_nodes(by(ref, BOB), ["cy", X], deadline_s=S)
        assert [each and each.id for each in found] == ["cy", None]
        for asker in (None, Asker(frozenset())):
            with pytest.raises(ListsDisagreeError if asker is None else GraphForbiddenError):
                await shard.get_nodes(by(ref, asker), ["cy"], deadline_s=S)


@pytest.mark.parametrize("over", [shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def test_where_nothing_is_enforced_nobody_has_to_say_who_asks(over: Any, opened: Opened, tmp_path: Path) -> None:
    async with over(opened(tmp_path)) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        await shard.set_acl(ref, GraphAcl(), deadline_s=S)
        assert (await apply(shard, ref, *FACTS)).version
        assert (await shard.get_acl(ref, deadline_s=S)) == (GraphAcl(), ALL)
        shown = {name: str(await read(shard, ref)) for name, read in ASKS}
        for name in ("get_nodes-0", "neighbors-1", "scan-0", "scan_edges-0", "query-0", "summary-0", "export-0"):
            assert MARK in shown[name], name


async def test_words_of_a_list_are_none_of_its_node(transport: Transport, people: GraphRef) -> None:
    assert await transport.search(by(people, ADA), "ada", limit=10, deadline_s=S) == []
    assert len(await transport.search(by(people, ADA), f"{MARK} words", limit=10, deadline_s=S)) == 2

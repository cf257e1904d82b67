"""A shard over gRPC: what is asked and answered arrives as it is."""

import asyncio
import math
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from argosy.address import shard_target
from argosy.clock import SystemClock
from argosy.errors import (
    ArgosyError,
    CypherError,
    FencedError,
    GraphDeadlineError,
    GraphInputError,
    GraphTooLargeError,
    InternalError,
    KeyExpiredError,
    KeyMismatchError,
    OutcomeUnknownError,
    ShardSilentError,
    ShardUnavailableError,
    ViewLostError,
    WrongOwnerError,
)
from argosy.graph import messages
from argosy.graph.facts import (
    NOBODY,
    Answer,
    Direction,
    FencingToken,
    GraphRef,
    Hit,
    LabelCount,
    Node,
    Source,
    Summary,
    WriteKey,
)
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode
from argosy.graph.transports.methods import SHARD
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_client import Caller, Method
from argosy.shards import service
from argosy.shards.engine import Engine
from tests.shards.engines import NO_SOURCE, NOW_MS, knows, new_ref, person
from tests.shards.raw_calls import recorded, send
from tests.shards.served import KEY, S, Served, serving

SMALL: Any = {"shard_message_size_bytes_max": 2_097_152, "graph_batch_size_bytes_max": 1_048_576}
SOURCE = Source("turn-1", "step-1")


@pytest.fixture
async def served(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as served:
        yield served


async def test_a_graph_lives_from_its_creation_to_its_drop(served: Served) -> None:
    shard, ref = served.transport(), new_ref("Acme/日本", "😀 people")

    await shard.create(ref, deadline_s=S)
    named = await shard.list(deadline_s=S)
    stats = await shard.stats(ref, deadline_s=S)
    await shard.drop(ref, deadline_s=S)

    assert [name for name, _ in named] == [("Acme/日本", "😀 people")]
    assert (stats.incarnation, stats.generation, stats.node_count) == (ref.incarnation, 1, 0)
    assert await shard.list(deadline_s=S) == []
    with pytest.raises(WrongOwnerError):
        await shard.stats(ref, deadline_s=S)


async def test_a_caller_that_knows_no_pages_gets_the_whole_list(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LIST_MAX", 2)
    for number in range(5):
        served.engine.create(new_ref(graph=f"graph {number}"))
    caller = Caller(shard_target(served.address), KEY, SystemClock(), message_size_bytes_max=2**20)
    listing = Method(SHARD.methods_by_name["List"], writes=False)

    parts = [part async for part in caller.read(listing, NOBODY, pb.ListRequest(), S)]
    await caller.close()

    assert [len(part.graphs) for part in parts] == [2, 2, 1]
    assert sorted(each.graph.graph for part in parts for each in part.graphs) == [f"graph {n}" for n in range(5)]


async def test_what_is_applied_is_read_as_it_was(served: Served, ref: GraphRef) -> None:
    shard = served.transport()
    props = {"max": 2**63 - 1, "min": -(2**63), "half": 0.5, "one": 1.0, "name": "Ada 😀", "deep": [{"a": None}]}

    applied = await shard.apply(
        ref,
        [person("ada", **props), person("😀"), knows("ada", "😀", since=1833)],
        key=WriteKey("k", NOW_MS),
        token=FencingToken(uuid.uuid4(), 1, 2, 3),
        source=SOURCE,
        deadline_s=S,
    )
    ada, nobody, smile = await shard.get_nodes(ref, ["ada", "nobody", "😀"], deadline_s=S)
    around = await shard.neighbors(ref, ["ada"], direction=Direction.OUT, limit=10, deadline_s=S)

    assert applied == (1, -1, "")
    assert nobody is None
    assert ada == served.engine.graph(ref).get_nodes(ref, ["ada"])[0]
    assert ada is not None
    assert smile is not None
    assert (ada.label, ada.version, ada.source) == ("Person", 1, SOURCE)
    assert around.nodes == [ada, smile]
    assert [(edge.src, edge.type, edge.dst, edge.props) for edge in around.edges] == [
        ("ada", "KNOWS", "😀", b'{"since":1833}')
    ]
    assert await shard.scan(ref, after="ada", limit=5, deadline_s=S) == [smile]
    assert await shard.scan_edges(ref, after=("ada", "KNOWS", "😀"), limit=5, deadline_s=S) == []
    assert await shard.scan_edges(ref, limit=5, deadline_s=S) == around.edges


async def test_every_operation_arrives(served: Served, ref: GraphRef) -> None:
    shard = served.transport()
    first: list[Op] = [
        UpsertNode("a", "A", {"x": 1, "y": 2}, {"v": [0.5, 0.25]}, if_absent=True),
        UpsertNode("b", "B"),
        UpsertEdge("a", "T", "b", {}, if_absent=True),
        UpsertNode("c", "C"),
    ]
    second: list[Op] = [
        MergeProps({"x": None}, id="a", if_version=1),
        MergeProps({"w": 1}, src="a", type="T", dst="b", if_version=1),
        DeleteNode("c", if_version=1),
    ]

    for ops in (first, second):
        assert (await apply(served, ref, *ops)).failed == -1
    refused = await apply(served, ref, DeleteEdge("a", "T", "b", if_version=1))

    assert refused.failed == 0
    assert refused.reason
    a, c = await shard.get_nodes(ref, ["a", "c"], deadline_s=S)
    assert a is not None
    assert (a.props, c) == (b'{"y":2}', None)


async def apply(served: Served, ref: GraphRef, *ops: Op, key: WriteKey | None = None) -> Any:
    return await served.transport().apply(ref, ops, key=key, token=None, source=NO_SOURCE, deadline_s=S)


async def test_a_search_and_its_hits_arrive(served: Served, ref: GraphRef) -> None:
    node = Node("a", "A", b'{"x":1}', 3, SOURCE)
    served.shard.hits = [Hit(node, 0.1), Hit(node._replace(id="b", source=NO_SOURCE), -1e-300)]
    shard = served.transport()

    by_text = await shard.search(ref, "C++ 日本", limit=3, deadline_s=S)
    by_both = await shard.search(ref, "", vector=("v", [0.5, -0.25]), limit=3, deadline_s=S)

    assert by_text == by_both == served.shard.hits
    assert served.shard.searches == [("C++ 日本", None), ("", ("v", [0.5, -0.25]))]


async def test_a_summary_arrives(served: Served, ref: GraphRef) -> None:
    served.shard.schema = Summary([LabelCount("Person", 2**40, [("name", 2), ("日", 1)])], [LabelCount("KNOWS", 0, [])])

    assert await served.transport().summary(ref, deadline_s=S) == served.shard.schema


async def test_a_megabyte_of_props_arrives(served: Served, ref: GraphRef) -> None:
    text = "é" * 500_000

    await apply(served, ref, *(person(str(n), text=text) for n in range(3)))

    nodes = await served.transport().get_nodes(ref, ["0", "2"], deadline_s=S)
    assert [len(node.props) for node in nodes if node] == [1_000_011] * 2


async def test_a_query_and_its_answer_arrive(served: Served, ref: GraphRef) -> None:
    rows = [[2**63 - 1, -(2**63), 0.1, "日本", None, True, [1, {"a": "😀"}]]] * 3
    served.shard.answer = Answer(["big", "small", "real", "text", "none", "yes", "list"], rows, is_cut=True)

    answer = await served.transport().query(ref, "RETURN $x", {"x": [2**63 - 1, "é"]}, row_limit=9, deadline_s=S)

    assert answer == served.shard.answer
    assert served.shard.queries == [("RETURN $x", {"x": [2**63 - 1, "é"]})]


@pytest.mark.parametrize("answer", [Answer([], [], is_cut=False), Answer(["n"], [], is_cut=False)])
async def test_an_answer_without_rows_arrives(served: Served, ref: GraphRef, answer: Answer) -> None:
    served.shard.answer = answer

    assert await served.transport().query(ref, "RETURN 1", {}, row_limit=9, deadline_s=S) == answer


async def test_an_answer_of_many_messages_arrives_in_its_order(served: Served, ref: GraphRef) -> None:
    served.shard.answer = Answer(["n", "text"], [[n, "x" * 50_000] for n in range(200)], is_cut=False)

    assert await served.transport().query(ref, "RETURN 1", {}, row_limit=9, deadline_s=S) == served.shard.answer


@pytest.mark.parametrize(
    "error",
    [
        CypherError("no Cypher", (3, 14)),
        CypherError("no Cypher"),
        GraphInputError("日本"),
        GraphTooLargeError("too much"),
        KeyMismatchError("another"),
        KeyExpiredError("old"),
        WrongOwnerError("not here"),
        ShardUnavailableError("full"),
        ViewLostError("lost"),
        FencedError("late"),
        GraphDeadlineError("slow"),
        OutcomeUnknownError("who knows"),
    ],
    ids=lambda error: error.code,
)
async def test_errors_arrive_as_they_were_raised(served: Served, ref: GraphRef, error: ArgosyError) -> None:
    served.shard.raises = error

    with pytest.raises(type(error)) as raised:
        await served.transport().query(ref, "RETURN 1", {}, row_limit=9, deadline_s=S)

    assert type(raised.value) is type(error)
    assert str(raised.value) == str(error)
    assert getattr(raised.value, "position", None) == getattr(error, "position", None)


async def test_people_and_tools_are_told_where_a_query_is_wrong(served: Served, ref: GraphRef) -> None:
    served.shard.raises = CypherError("no Cypher", (3, 14))
    asked = pb.QueryRequest(graph=messages.graph_to_pb(ref), cypher="RETURN 1", params=b"{}", row_limit=1)

    status = await send(served, recorded(served, "Query", asked))

    assert status == (grpc.StatusCode.INVALID_ARGUMENT, "line 3, column 14: no Cypher")


async def test_a_long_message_of_an_error_is_shortened(served: Served, ref: GraphRef) -> None:
    served.shard.raises = CypherError("日" * 100_000, (1, 1))

    with pytest.raises(CypherError, match=r"^line 1, column 1: 日+…$"):
        await served.transport().query(ref, "RETURN 1", {}, row_limit=9, deadline_s=S)


async def test_a_bug_of_the_shard_is_an_internal_error_that_tells_no_secret(served: Served, ref: GraphRef) -> None:
    served.shard.raises = RuntimeError("hidden")

    with pytest.raises(InternalError) as raised:
        await served.transport().query(ref, "RETURN 1", {}, row_limit=9, deadline_s=S)

    assert "hidden" not in str(raised.value)


async def test_a_call_ends_at_its_deadline_on_both_sides(served: Served, ref: GraphRef) -> None:
    served.shard.waits = asyncio.Event()

    with pytest.raises(ShardSilentError):
        await served.transport().query(ref, "RETURN 1", {}, row_limit=9, deadline_s=0.2)

    await asyncio.wait_for(served.shard.ended.wait(), 5)


async def test_a_call_more_than_may_be_is_refused(engine: Engine, ref: GraphRef) -> None:
    async with serving(engine, shard_calls_max=1) as served:
        served.shard.waits = asyncio.Event()
        shard = served.transport()
        first = asyncio.create_task(shard.query(ref, "RETURN 1", {}, row_limit=9, deadline_s=S))
        await served.shard.begun.wait()

        with pytest.raises(ShardUnavailableError, match="no more may be"):
            await shard.get_nodes(ref, ["ada"], deadline_s=S)

        served.shard.waits.set()
        assert await first == served.shard.answer
        assert await shard.get_nodes(ref, ["ada"], deadline_s=S) == [None]


@pytest.mark.parametrize(
    "op",
    [person("a", x=math.nan), person("a", x=2**63), person("\ud800"), person("a", x="\ud800"), person("")],
)
async def test_what_is_no_operation_is_not_sent(served: Served, ref: GraphRef, op: Op) -> None:
    with pytest.raises(GraphInputError):
        await apply(served, ref, op)


@pytest.mark.parametrize("params", [{"x": math.nan}, {"x": 2**63}, {"x": "\ud800"}, {"x": object()}])
async def test_parameters_that_would_not_arrive_are_not_sent(
    served: Served, ref: GraphRef, params: dict[str, Any]
) -> None:
    with pytest.raises(GraphInputError):
        await served.transport().query(ref, "RETURN $x", params, row_limit=1, deadline_s=S)


async def test_more_than_a_message_may_have_is_refused_on_both_ways(engine: Engine, ref: GraphRef) -> None:
    async with serving(engine, **SMALL) as served:
        text = "x" * 900_000
        for n in range(3):
            await apply(served, ref, person(str(n), text=text))
        narrow = served.transport(**SMALL)

        with pytest.raises(GraphTooLargeError, match="ask for less"):
            await narrow.get_nodes(ref, ["0", "1", "2"], deadline_s=S)
        with pytest.raises(GraphTooLargeError):
            await apply(served, ref, *(person(str(n), text=text) for n in range(3)))
        assert len(await narrow.scan(ref, limit=10, deadline_s=S)) == 3


async def test_an_answer_that_the_caller_has_no_room_for_is_too_large_and_no_shard_that_is_away(
    served: Served, ref: GraphRef
) -> None:
    """gRPC says so, unsigned, with the status of a shard that has no room for the call."""
    await apply(served, ref, *(person(str(n), text="x" * 900_000) for n in range(3)))

    with pytest.raises(GraphTooLargeError, match="larger than max"):
        await served.transport(**SMALL).get_nodes(ref, ["0", "1", "2"], deadline_s=S)


def test_no_method_has_streams_in_both_directions() -> None:
    """The server of shards has no way to sign one."""
    methods = pb.DESCRIPTOR.services_by_name["Shard"].methods

    assert [each.name for each in methods if each.client_streaming and each.server_streaming] == []

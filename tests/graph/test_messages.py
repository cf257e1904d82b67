"""Operations and facts as messages, and back."""

import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import GraphInputError
from argosy.graph.chunks import CHUNK_SIZE_BYTES, answer_of_pb, answer_to_pb, facts_of_pb, facts_to_pb
from argosy.graph.facts import Answer, Edge, FencingToken, GraphName, GraphRef, GraphState, Node, Source, Stats
from argosy.graph.messages import (
    graph_of_pb,
    graph_to_pb,
    stats_of_pb,
    stats_to_pb,
    token_of_pb,
    token_to_pb,
)
from argosy.graph.op_messages import op_of_pb, op_to_pb
from argosy.graph.ops import (
    INT_MAX,
    INT_MIN,
    DeleteEdge,
    DeleteNode,
    MergeProps,
    Op,
    UpsertEdge,
    UpsertNode,
    check_ops,
    encode_ops,
)
from argosy.rpc import shard_pb2 as pb

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INT_MIN, INT_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
props = st.dictionaries(names, values, max_size=4)
numbers = st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30)
vectors = st.none() | st.dictionaries(names, st.lists(numbers, min_size=1, max_size=4), max_size=2)
some_vectors = st.dictionaries(names, st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=2)
versions = st.none() | st.integers(0, INT_MAX)
ops = st.one_of(
    st.builds(UpsertNode, names, names, props, vectors, st.just(False), versions),
    st.builds(UpsertNode, names, names, props, vectors, st.just(True)),
    st.builds(UpsertNode, names, names, props, some_vectors, if_version=versions, keep_vectors=st.just(True)),
    st.builds(UpsertEdge, names, names, names, props, st.just(False), versions),
    st.builds(UpsertEdge, names, names, names, props, st.just(True)),
    st.builds(MergeProps, props, names, if_version=versions, vectors=st.none() | some_vectors),
    st.builds(MergeProps, props, st.none(), names, names, names, versions),
    st.builds(DeleteNode, names, versions),
    st.builds(DeleteEdge, names, names, names, versions),
)


@given(ops)
def test_an_operation_is_what_it_was(op: Op) -> None:
    check_ops([op])

    arrived = op_of_pb(pb.Op.FromString(op_to_pb(op).SerializeToString()))

    assert arrived == op
    assert encode_ops([arrived]) == encode_ops([op])


def test_an_operation_of_a_newer_version_is_refused() -> None:
    with pytest.raises(GraphInputError):
        op_of_pb(pb.Op())


def test_props_that_are_no_object_are_refused() -> None:
    with pytest.raises(GraphInputError):
        op_of_pb(pb.Op(upsert_node=pb.UpsertNode(id="a", label="A", props=b"[1]")))


def test_a_graph_and_a_token_are_what_they_were() -> None:
    ref = GraphRef("Acme/日本", "😀", uuid.uuid4(), 2**64 - 1)
    token = FencingToken(uuid.uuid4(), 2**62, -1, 3)

    assert graph_of_pb(graph_to_pb(ref)) == ref
    assert token_of_pb(token_to_pb(token)) == token


@pytest.mark.parametrize("raw", [b"", b"x" * 15, b"x" * 17])
def test_a_graph_has_an_incarnation(raw: bytes) -> None:
    with pytest.raises(GraphInputError, match="incarnation"):
        graph_of_pb(pb.Graph(tenant="acme", graph="people", incarnation=raw))


def test_stats_are_what_they_were() -> None:
    name, stats = GraphName("acme", "people"), Stats(uuid.uuid4(), 7, GraphState.SEALED, 1, 2, 2**40, 4, 5)

    assert stats_of_pb(stats_to_pb(name, stats)) == (name, stats)


async def arriving(messages: Iterable[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield type(message).FromString(message.SerializeToString())


async def test_facts_come_in_messages_of_bounded_size() -> None:
    source = Source("t", "s")
    nodes = [Node(str(n), "A", b'{"text":"' + b"x" * 10_000 + b'"}', n, source) for n in range(300)]
    edges = [Edge("a", "T", str(n), b"{}", n, source) for n in range(9_000)]

    messages = list(facts_to_pb(nodes, edges, is_cut=True))

    assert max(message.ByteSize() for message in messages) <= CHUNK_SIZE_BYTES
    assert len(messages) < 8
    assert await facts_of_pb(arriving(messages)) == (nodes, edges, True)


async def test_a_fact_larger_than_a_message_should_be_comes_alone() -> None:
    nodes = [Node(str(n), "A", b"x" * (CHUNK_SIZE_BYTES + 1), n, Source()) for n in range(3)]

    messages = list(facts_to_pb(nodes, []))

    assert [len(message.nodes) for message in messages] == [1, 1, 1]
    assert (await facts_of_pb(arriving(messages))).nodes == nodes


async def test_a_few_facts_are_one_message() -> None:
    nodes, edges = [Node("a", "A", b"{}", 1, Source())], [Edge("a", "T", "a", b"{}", 2, Source("t", "s"))]

    messages = list(facts_to_pb(nodes, edges))

    assert len(messages) == 1
    assert await facts_of_pb(arriving(messages)) == (nodes, edges, False)


async def test_nothing_is_one_message() -> None:
    assert [message.is_cut for message in facts_to_pb([], [], is_cut=True)] == [True]
    assert await facts_of_pb(arriving(facts_to_pb([], []))) == ([], [], False)


@given(st.lists(names, max_size=3), st.lists(st.lists(values, max_size=3), max_size=5), st.booleans())
async def test_an_answer_is_what_it_was(columns: list[str], rows: list[list[Any]], is_cut: bool) -> None:
    answer = Answer(columns, rows, is_cut)

    assert await answer_of_pb(arriving(answer_to_pb(answer))) == answer

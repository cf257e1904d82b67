"""A view equals the graph that it was made of, under any operations, and answers as a plain model does."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.graph.ops import DeleteNode, MergeProps, Op, UpsertEdge, check_ops
from argosy.shards.views.kglite import KgliteView, KgliteViews
from tests.shards.view_ops import OPS
from tests.shards.views import LIMITS, Model, dumped, present, rows, seen


class Pair:
    """A view and the model that it has to equal, through one graph after the other."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.view: KgliteView = KgliteViews(LIMITS).make()
        self.model = Model()
        self.rebuild()

    def rebuild(self) -> None:
        self.runner.run(self.view.build(1, self.model.facts()))

    def apply(self, ops: Sequence[Op]) -> None:
        """Apply those operations that a shard would."""
        done: list[Op] = []
        for op in ops:
            if self._is_possible(op):
                check_ops([op])
                self.model.apply([op])
                done.append(op)
        self.runner.run(self.view.apply(done, self.view.version + 1))

    def _is_possible(self, op: Op) -> bool:
        match op:
            case UpsertEdge():
                return op.src in self.model.nodes and op.dst in self.model.nodes
            case MergeProps(id=str(node_id)):
                return node_id in self.model.nodes
            case MergeProps():
                return (op.src, op.type, op.dst) in self.model.edges
        return True

    def clear(self) -> None:
        self.apply([DeleteNode(each) for each in self.model.nodes])

    def rows(self, cypher: str, **params: Any) -> list[list[Any]]:
        return self.runner.run(rows(self.view, cypher, **params))

    def seen(self) -> tuple[list[Any], list[Any]]:
        return self.runner.run(seen(self.view))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.runner.run(pair.view.close())
    pair.runner.close()


def check(pair: Pair, batches: Sequence[Sequence[Op]]) -> None:
    for ops in batches:
        pair.apply(ops)
    assert exact(pair.seen()) == exact(pair.model.seen())
    for node_id, (label, props) in pair.model.nodes.items():
        found = pair.rows("MATCH (n {id: $id}) RETURN n.id, labels(n), n.name, n.x, n.`y z`, n.type", id=node_id)
        there = present(props)
        assert exact(found) == exact([[node_id, [label], *map(there.get, ("name", "x", "y z", "type"))]])
    counted = dict(pair.rows("MATCH (n) RETURN labels(n)[0], count(*)"))
    assert counted == {
        label: sum(each[0] == label for each in pair.model.nodes.values()) for label, _ in pair.model.nodes.values()
    }
    hops = pair.rows("MATCH (a)-[r]->(b)-[s]->(c) RETURN a.id, type(r), b.id, type(s), c.id")
    edges = list(pair.model.edges)
    expected = [[*e, *f[1:]] for e in edges for f in edges if e[2] == f[0] and e != f]
    assert sorted(hops) == sorted(expected)
    pair.clear()
    assert pair.seen() == ([], [])


def exact(value: Any) -> bytes:
    """1, 1.0 and True are three things."""
    return dumped(value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(st.lists(OPS, max_size=3))
def test_a_view_equals_its_graph_under_random_operations(pair: Pair, batches: list[list[Op]]) -> None:
    check(pair, batches)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(OPS, OPS)
def test_a_view_that_is_built_equals_one_that_was_kept_current(pair: Pair, ops: list[Op], more: list[Op]) -> None:
    pair.apply(ops)
    pair.rebuild()
    check(pair, [more])


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(st.lists(OPS, max_size=6))
def test_a_view_equals_its_graph_for_long(pair: Pair, batches: list[list[Op]]) -> None:
    check(pair, batches)

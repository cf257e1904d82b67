"""An engine holds what a model of a graph in dicts holds, whatever is done to it and whenever it is opened again."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from argosy.graph.facts import Direction
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode
from tests.shards.engines import apply, facts_of, load, never, new_ref, open_sqlite
from tests.shards.graph_model import GraphModel, Thing

NAMES = st.sampled_from(["a", "b", "c", "ä/Ö", "🦜", "A"])
TYPES = st.sampled_from(["T", "t t"])
INTS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    st.none(), st.booleans(), INTS, st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)
)
PROPS = st.dictionaries(st.sampled_from(["x", "y", "ключ"]), VALUES | st.lists(VALUES, max_size=2), max_size=3)
VERSIONS = st.none() | st.integers(1, 6)
NODES = st.builds(UpsertNode, id=NAMES, label=TYPES, props=PROPS)
EDGES = st.builds(UpsertEdge, src=NAMES, type=TYPES, dst=NAMES, props=PROPS)
OPS = st.one_of(
    NODES,
    EDGES,
    st.builds(UpsertNode, id=NAMES, label=TYPES, props=PROPS, if_absent=st.booleans()),
    st.builds(UpsertEdge, src=NAMES, type=TYPES, dst=NAMES, props=PROPS, if_version=VERSIONS),
    st.builds(MergeProps, id=NAMES, props=PROPS, if_version=VERSIONS),
    st.builds(MergeProps, src=NAMES, type=TYPES, dst=NAMES, props=PROPS),
    st.builds(DeleteNode, id=NAMES, if_version=VERSIONS),
    st.builds(DeleteEdge, src=NAMES, type=TYPES, dst=NAMES),
)


class EngineMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.engine = open_sqlite(self.root)
        self.ref = new_ref()
        self.engine.create(self.ref)
        self.model = GraphModel()
        self.keys: dict[str, tuple[list[Op], Any]] = {}

    @rule(ops=st.lists(OPS, min_size=1, max_size=6))
    def apply(self, ops: list[Op]) -> None:
        self.model, failed = self.model.after(ops)

        applied = apply(self.engine, self.ref, *ops)

        assert (applied.version, applied.failed) == (0 if failed >= 0 else self.model.version, failed)

    @rule(key=st.sampled_from("xyz"), ops=st.lists(OPS, min_size=1, max_size=3))
    def apply_under_a_key(self, key: str, ops: list[Op]) -> None:
        if key in self.keys:
            ops, applied = self.keys[key]
        else:
            self.model, _ = self.model.after(ops)
            applied = None

        answer = apply(self.engine, self.ref, *ops, key=key)

        assert applied in (None, answer)
        self.keys[key] = (ops, answer)

    @rule(ops=st.lists(NODES | EDGES, max_size=8))
    def load(self, ops: list[Op]) -> None:
        in_order = sorted(ops, key=lambda op: isinstance(op, UpsertEdge))
        model, failed = self.model.after(in_order)

        applied = load(self.engine, self.ref, ops[:3], ops[3:])

        assert applied.version == (0 if failed >= 0 else model.version)
        self.model = model

    @rule()
    def open_again(self) -> None:
        self.engine.close()
        self.engine = open_sqlite(self.root)

    @rule()
    def move(self) -> None:
        lines = list(self.engine.graph(self.ref).export(self.ref))
        self.engine.drop(self.ref)
        self.ref = self.ref._replace(generation=self.ref.generation + 1)
        self.engine.restore(self.ref, lines)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        nodes, edges = facts_of(self.engine, self.ref)
        decode = msgspec.json.decode
        assert {node.id: Thing(node.label, decode(node.props), node.version) for node in nodes} == self.model.nodes
        assert {edge[:3]: Thing(edge.type, decode(edge.props), edge.version) for edge in edges} == self.model.edges
        assert [node.id for node in nodes] == sorted(self.model.nodes)
        assert [edge[:3] for edge in edges] == sorted(self.model.edges)
        counts = (len(self.model.nodes), len(self.model.edges), self.model.version)
        assert self.engine.graph(self.ref).stats()[3:6] == counts

    @rule(start=NAMES, direction=st.sampled_from(Direction), depth=st.integers(0, 3), types=st.lists(TYPES, max_size=2))
    def walk(self, start: str, direction: Direction, depth: int, types: list[str]) -> None:
        near = {start} & self.model.nodes.keys()
        walked = set()
        for _ in range(depth):
            steps = [(key, ends) for key in self.model.edges for ends in _ends(key, direction)]
            taken = [(key, far) for key, (at, far) in steps if at in near and (not types or key[1] in types)]
            walked |= {key for key, _ in taken}
            near = near | {far for _, far in taken}

        found = self.engine.graph(self.ref).neighbors(
            self.ref, [start], types=types, direction=direction, depth=depth, limit=100, interrupt=never
        )

        assert {node.id for node in found.nodes} == near
        assert {edge[:3] for edge in found.edges} == walked
        assert not found.is_cut

    @rule()
    def search(self) -> None:
        found = self.engine.graph(self.ref).search(self.ref, "t", 100, never)

        assert {hit.node.id for hit in found} == self.model.nodes.keys()  # every label has the word

    @rule()
    def sum_up(self) -> None:
        summary = self.engine.graph(self.ref).summary(self.ref, never)

        nodes, edges = self.model.nodes.values(), self.model.edges.values()
        assert {each.label: each.total for each in summary.nodes} == Counter(node.label for node in nodes)
        assert {each.label: each.total for each in summary.edges} == Counter(edge.label for edge in edges)
        for label in summary.nodes:
            keys = Counter(key for node in nodes if node.label == label.label for key in node.props)
            assert dict(label.props) == keys

    def teardown(self) -> None:
        self.engine.close()
        shutil.rmtree(self.root)


def _ends(key: tuple[str, str, str], direction: Direction) -> list[tuple[str, str]]:
    src, _, dst = key
    return [(src, dst)] * (direction is not Direction.IN) + [(dst, src)] * (direction is not Direction.OUT)


TestEngineModel = EngineMachine.TestCase
TestEngineModel.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)

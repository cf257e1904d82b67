"""Feeds of an engine do what a model of them does, whatever comes in which order, and wherever the graph is."""

import shutil
import tempfile
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from argosy.errors import KeyExpiredError, WrongOwnerError
from argosy.graph.facts import GraphRef
from argosy.graph.feeds import FeedState, new_feed
from argosy.graph.ops import Op, check_ops
from argosy.ingest.chain import chain_of
from tests.shards.engines import HORIZON_MS, NOW_MS, REJECTS_MAX, apply, facts_of, never, new_ref, open_sqlite
from tests.shards.feeding import Upload, after, encode
from tests.shards.graph_model import GraphModel, Refused, Thing
from tests.shards.test_engine_model import OPS

NAMES = ["one", "other", "lasting"]
WORTHLESS = st.sampled_from([b"", b" ", b"{", b"\xff", b'{"op":"fly"}', b"[]"])
LINES = st.lists(st.one_of(OPS.map(encode), OPS.map(encode), WORTHLESS), min_size=1, max_size=30)
_decode_op = msgspec.json.Decoder(Op).decode


@dataclass
class FedModel:
    """A graph with feeds. made, used: of feeds, by name. refused: numbers of lines, by feed."""

    graph: GraphModel = field(default_factory=GraphModel)
    feeds: dict[str, FeedState] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    refused: dict[str, list[int]] = field(default_factory=dict)
    forgotten_ms: int = 0

    def state(self, name: str) -> FeedState:
        return self.feeds.get(name) or new_feed(name)

    def is_expired(self, lines: Upload) -> bool:
        return lines.feed not in self.feeds and 0 < lines.made_at_ms <= self.forgotten_ms

    def take(self, lines: Upload, first: int, last: int, now_ms: int) -> None:
        """Do lines, if they are next."""
        state = self.state(lines.feed)
        is_same = chain_of(bytes(16), lines.lines[: first - 1]) == state.chain
        if first > last or first != state.next or not is_same:
            return
        graph = deepcopy(self.graph)
        graph.version += 1
        applied, refused = 0, []
        for number in range(first, last + 1):
            line = lines.lines[number - 1]
            try:
                if line.strip():
                    graph.change(op_of(line))
                    applied += 1
            except Refused:
                refused.append(number)
        if applied:
            self.graph = graph
        kept = max(0, REJECTS_MAX - state.rejected)
        self.refused.setdefault(lines.feed, []).extend(refused[:kept])
        chain = chain_of(bytes(16), lines.lines[:last])
        counts = (state.applied + applied, state.rejected + len(refused))
        self.feeds[lines.feed] = FeedState(lines.feed, last + 1, chain, *counts)
        self.made.setdefault(lines.feed, lines.made_at_ms)
        self.used[lines.feed] = max(now_ms, lines.made_at_ms, self.used.get(lines.feed, 0))
        for name in [each for each in self.feeds if self.made[each] and self.used[each] < now_ms - HORIZON_MS]:
            self.forgotten_ms = max(self.forgotten_ms, self.made[name])
            del self.feeds[name], self.used[name], self.made[name]
            self.refused.pop(name, None)


def op_of(line: bytes) -> Op:
    try:
        op: Op = _decode_op(line)
        check_ops([op])
    except Exception as error:
        raise Refused from error
    return op


class FeedsMachine(RuleBasedStateMachine):
    @initialize(lines=st.tuples(LINES, LINES, LINES), others=LINES)
    def begin(self, lines: tuple[list[bytes], ...], others: list[bytes]) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.engine = open_sqlite(self.root)
        self.ref = new_ref()
        self.engine.create(self.ref)
        self.now_ms = NOW_MS
        made = [NOW_MS, NOW_MS + 1, 0]
        self.uploads = [Upload(*each) for each in zip(NAMES, lines, made, strict=True)]
        self.uploads += [each._replace(lines=[*each.lines[:4], *others]) for each in self.uploads]
        self.model = FedModel()

    @rule(
        index=st.integers(0, 2 * len(NAMES) - 1),
        ahead=st.sampled_from([0, 0, 0, 0, 1, -1, -2, -5]),
        size=st.sampled_from([1, 2, 3, 8, 0]),
        confirmed=st.sampled_from([0, 0, 3, 30]),
        done_max=st.sampled_from([100, 100, 1, 2]),
    )
    def send(self, index: int, ahead: int, size: int, confirmed: int, done_max: int) -> None:
        lines = self.uploads[index]
        first = min(max(1, self.model.state(lines.feed).next + ahead), len(lines.lines))
        last = min(first + size - 1, len(lines.lines))
        batch = lines.batch(first, last, confirmed=confirmed)
        if self.model.is_expired(lines):
            with pytest.raises(KeyExpiredError):
                self.engine.graph(self.ref).ingest(self.ref, batch, self.now_ms, never)
            return
        version = self.model.graph.version
        self.model.take(lines, first, min(last, first + done_max - 1), self.now_ms)

        ingested = self.engine.graph(self.ref).ingest(self.ref, batch, self.now_ms, after(done_max))

        assert ingested.fed.state == self.model.state(lines.feed)
        refused = [each for each in self.model.refused.get(lines.feed, []) if each > confirmed]
        assert [each.line for each in ingested.fed.refused] == refused
        assert ingested.fed.version == self.model.graph.version
        assert bool(ingested.ops) == (self.model.graph.version > version)

    @rule(ops=st.lists(OPS, min_size=1, max_size=3))
    def others_write(self, ops: list[Op]) -> None:
        self.model.graph, _ = self.model.graph.after(ops)
        apply(self.engine, self.ref, *ops, now_ms=self.now_ms)

    @rule(share=st.sampled_from([0.3, 1.1, -0.5]))
    def time_passes(self, share: float) -> None:
        self.now_ms += int(share * HORIZON_MS)

    @rule()
    def open_again(self) -> None:
        self.engine.close()
        self.engine = open_sqlite(self.root)

    @rule()
    def move(self) -> None:
        before, lines = self.ref, list(self.engine.graph(self.ref).export(self.ref))
        self.engine.drop(before)
        self.ref = before._replace(generation=before.generation + 1)
        self.engine.restore(self.ref, lines)
        self.late_calls_are_refused(before)

    @rule()
    def drop_and_make_again(self) -> None:
        before = self.ref
        self.engine.drop(before)
        self.ref = new_ref()
        self.engine.create(self.ref)
        self.model = FedModel()
        self.late_calls_are_refused(before)

    def late_calls_are_refused(self, ref: GraphRef) -> None:
        for lines in self.uploads:
            with pytest.raises(WrongOwnerError):
                self.engine.graph(ref).ingest(ref, lines.batch(1, 1), self.now_ms, never)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        nodes, edges = facts_of(self.engine, self.ref)
        decode = msgspec.json.decode
        graph = self.model.graph
        assert {node.id: Thing(node.label, decode(node.props), node.version) for node in nodes} == graph.nodes
        assert {edge[:3]: Thing(edge.type, decode(edge.props), edge.version) for edge in edges} == graph.edges
        counts = (len(graph.nodes), len(graph.edges), graph.version)
        assert self.engine.graph(self.ref).stats()[3:6] == counts
        assert self.engine.graph(self.ref).feeds(self.ref, NAMES) == [self.model.feeds.get(name) for name in NAMES]

    def teardown(self) -> None:
        self.engine.close()
        shutil.rmtree(self.root)


TestFeedsModel = FeedsMachine.TestCase
TestFeedsModel.settings = settings(
    max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_feeds_do_what_the_model_does_for_long() -> None:
    run_state_machine_as_test(
        FeedsMachine,
        settings=settings(
            max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

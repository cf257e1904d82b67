"""What every engine holds: batches, keys and fences, lives of graphs, reads."""

import uuid
from pathlib import Path

import pytest

from argosy.errors import FencedError, KeyExpiredError, KeyMismatchError, WrongOwnerError
from argosy.graph.facts import Applied, FencingToken, GraphRef, GraphState, Source
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, UpsertNode
from argosy.shards.engine import Engine
from tests.shards.engines import HORIZON_MS, NOW_MS, Opened, apply, knows, never, new_ref, person

SESSION = uuid.uuid4()


def ids(engine: Engine, ref: GraphRef) -> list[str]:
    return [node.id for node in engine.graph(ref).scan(ref, "", "", 1_000, never)]


def test_what_was_applied_is_there_after_opening_again(opened: Opened, tmp_path: Path) -> None:
    first = opened(tmp_path)
    ref = new_ref()
    first.create(ref)
    apply(first, ref, person("ada", born=2**63 - 1), person("bob"), knows("ada", "bob"), source=Source("turn", "step"))
    member = first.member_id
    first.close()

    second = opened(tmp_path)

    (ada,) = second.graph(ref).get_nodes(ref, ["ada"])
    assert ada is not None
    assert (ada.props, ada.version, ada.source) == (b'{"born":9223372036854775807}', 1, Source("turn", "step"))
    assert [edge[:3] for edge in second.graph(ref).scan_edges(ref, ("", "", ""), 10, never)] == [
        ("ada", "KNOWS", "bob")
    ]
    assert second.member_id == member
    second.close()


def test_a_batch_is_refused_whole(engine: Engine, ref: GraphRef) -> None:
    applied = apply(engine, ref, person("ada"), knows("ada", "nobody"))

    assert applied == Applied(0, 1, "edge 'ada' -KNOWS-> 'nobody' needs node 'nobody', which is not there")
    assert ids(engine, ref) == []
    assert engine.graph(ref).stats().version == 0


def test_a_key_applies_once(engine: Engine, ref: GraphRef) -> None:
    first = apply(engine, ref, MergeProps({"n": 1}, id="ada"), key="a")
    apply(engine, ref, person("ada"))

    assert apply(engine, ref, MergeProps({"n": 1}, id="ada"), key="a") == first
    with pytest.raises(KeyMismatchError):
        apply(engine, ref, MergeProps({"n": 2}, id="ada"), key="a")


def test_a_key_beyond_the_horizon_is_refused_unless_it_is_known(engine: Engine, ref: GraphRef) -> None:
    with pytest.raises(KeyExpiredError):
        apply(engine, ref, person("ada"), key="a", made_at_ms=NOW_MS - HORIZON_MS)
    apply(engine, ref, person("ada"), key="b")

    assert apply(engine, ref, person("ada"), key="b", now_ms=NOW_MS + HORIZON_MS + 1) == Applied(1)


def test_a_key_that_was_forgotten_is_refused_though_the_clock_went_back(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"), key="a")
    apply(engine, ref, person("bob"), now_ms=NOW_MS + HORIZON_MS + 1)

    with pytest.raises(KeyExpiredError):
        apply(engine, ref, person("ada"), key="a")
    assert apply(engine, ref, person("cy"), key="b", made_at_ms=NOW_MS + 1) == Applied(3)


def test_a_late_call_is_fenced_or_is_what_was_applied_already(engine: Engine, ref: GraphRef) -> None:
    early, late = FencingToken(SESSION, 1, 1, 1), FencingToken(SESSION, 2, 1, 2)
    applied = apply(engine, ref, person("ada"), key="a", token=early)
    apply(engine, ref, person("bob"), token=late)

    with pytest.raises(FencedError):
        apply(engine, ref, person("cy"), key="c", token=early)
    assert apply(engine, ref, person("ada"), key="a", token=early) == applied
    assert ids(engine, ref) == ["ada", "bob"]


def test_a_session_s_next_turn_is_not_fenced_and_neither_are_other_sessions(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"), token=FencingToken(SESSION, 5, 1, 3))

    assert apply(engine, ref, person("bob"), token=FencingToken(SESSION, 5, 2, 1)).version == 2
    assert apply(engine, ref, person("cy"), token=FencingToken(uuid.uuid4(), 1, 1, 1)).version == 3


def test_conditions(engine: Engine, ref: GraphRef) -> None:
    assert apply(engine, ref, UpsertNode("ada", "Person", if_absent=True)).version == 1
    assert apply(engine, ref, UpsertNode("ada", "Person", if_absent=True)).failed == 0
    assert apply(engine, ref, UpsertNode("ada", "Person", {"a": 1}, if_version=1)).version == 2
    assert apply(engine, ref, MergeProps({"b": 1}, id="ada", if_version=1)).reason == "node 'ada' has version 2, not 1"
    assert apply(engine, ref, DeleteNode("ada", if_version=2)).version == 3
    assert apply(engine, ref, DeleteNode("ada")).version == 4
    assert apply(engine, ref, DeleteNode("ada", if_version=2)).failed == 0


def test_a_node_goes_with_its_edges(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("a"), person("b"), knows("a", "b"), knows("b", "a"), knows("a", "a"), knows("b", "b"))

    apply(engine, ref, DeleteNode("a"))

    assert [edge[:3] for edge in engine.graph(ref).scan_edges(ref, ("", "", ""), 10, never)] == [("b", "KNOWS", "b")]
    assert engine.graph(ref).stats()[3:5] == (1, 1)
    apply(engine, ref, DeleteEdge("b", "KNOWS", "b"))
    assert engine.graph(ref).stats()[3:5] == (1, 0)


def test_a_graph_that_was_dropped_stays_dropped(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    graph = engine.graph(ref)
    engine.drop(ref)
    again = ref._replace(incarnation=uuid.uuid4())
    engine.create(again)

    engine.drop(ref)
    with pytest.raises(WrongOwnerError):
        engine.create(ref)
    with pytest.raises(WrongOwnerError):
        graph.apply(ref, [person("ada")], key=None, token=None, source=Source(), now_ms=NOW_MS)
    with pytest.raises(WrongOwnerError):
        engine.graph(ref)
    assert ids(engine, again) == []


def test_a_graph_that_is_moved_takes_no_writes_and_then_no_reads(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))

    engine.set_state(ref, GraphState.SEALED, 1)
    assert ids(engine, ref) == ["ada"]
    with pytest.raises(WrongOwnerError):
        apply(engine, ref, person("bob"))

    engine.set_state(ref, GraphState.RETIRED, 1)
    with pytest.raises(WrongOwnerError):
        ids(engine, ref)

"""Whole graphs: loaded at once, exported and restored, moved away and back."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from argosy.errors import FencedError, GraphInputError, KeyExpiredError, WrongOwnerError
from argosy.graph.facts import Applied, FencingToken, GraphRef, GraphState, Source
from argosy.graph.ops import DeleteNode, Op, UpsertNode
from argosy.shards.engine import Engine
from tests.shards.engines import HORIZON_MS, NOW_MS, apply, facts_of, knows, load, never, new_ref, person

TOKEN = FencingToken(uuid.uuid4(), 4, 2, 1)


def filled(engine: Engine, ref: GraphRef) -> list[bytes]:
    """Give a graph something of each kind, and export it."""
    apply(engine, ref, person("old"), key="old", made_at_ms=NOW_MS - HORIZON_MS // 2)
    apply(engine, ref, person("ada", born=2**63 - 1, pi=3.5, names=["日本", "🦜"]), person("bob"), token=TOKEN)
    source = Source("turn", "step")
    vectors = {"text": [0.1, 2.0], "face": [1.0]}
    apply(engine, ref, knows("ada", "bob", since=1833), UpsertNode("cy", "Robot", {}, vectors), source=source, key="a")
    return list(engine.graph(ref).export(ref))


def test_a_bulk_load_takes_edges_before_nodes(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada", old=1))

    applied = load(engine, ref, [knows("ada", "bob"), person("ada"), person("bob"), person("bob", n=2)], [person("cy")])

    assert applied == Applied(2)
    assert [(node.id, node.props, node.version) for node in facts_of(engine, ref)[0]] == [
        ("ada", b"{}", 2),
        ("bob", b'{"n":2}', 2),
        ("cy", b"{}", 2),
    ]
    assert engine.graph(ref).stats()[3:6] == (3, 1, 2)


@pytest.mark.parametrize("ops", [[DeleteNode("ada")], [UpsertNode("ada", "Person", if_absent=True)]])
def test_a_bulk_load_has_upserts_without_conditions(engine: Engine, ref: GraphRef, ops: list[Op]) -> None:
    with pytest.raises(GraphInputError):
        load(engine, ref, [person("bob")], ops)

    assert facts_of(engine, ref) == ([], [])


def test_a_bulk_load_is_refused_whole(engine: Engine, ref: GraphRef) -> None:
    applied = load(engine, ref, [person("ada"), knows("ada", "nobody")])

    assert applied == Applied(0, -1, "edge 'ada' -KNOWS-> 'nobody' lacks one of its nodes")
    assert facts_of(engine, ref) == ([], [])


def test_a_restored_graph_is_the_one_that_was_exported(engine: Engine, ref: GraphRef) -> None:
    lines = filled(engine, ref)
    copy = new_ref("acme", "copy", generation=7)

    engine.restore(copy, lines)

    assert facts_of(engine, copy) == facts_of(engine, ref)
    assert engine.graph(copy).stats()[:6] == (copy.incarnation, 7, GraphState.ACTIVE, 4, 1, 3)
    assert [*engine.graph(copy).export(copy)][1:-1] == lines[1:-1]


def test_keys_and_fences_go_along(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("old"), key="old", made_at_ms=NOW_MS - HORIZON_MS + 1)
    apply(engine, ref, person("new"), key="new", now_ms=NOW_MS + 2)  # forgets the old one
    apply(engine, ref, person("ada"), key="a", token=TOKEN)
    copy = new_ref("acme", "copy")

    engine.restore(copy, engine.graph(ref).export(ref))

    assert apply(engine, copy, person("ada"), key="a") == Applied(3)
    with pytest.raises(FencedError):
        apply(engine, copy, person("ada"), token=TOKEN._replace(place=1))
    with pytest.raises(KeyExpiredError):
        apply(engine, copy, person("old"), key="old", made_at_ms=NOW_MS - HORIZON_MS + 1)


def test_an_export_shows_one_moment(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"), person("bob"), knows("ada", "bob"))
    lines = engine.graph(ref).export(ref)
    begun = [next(lines), next(lines)]

    apply(engine, ref, DeleteNode("ada"), person("cy"))

    assert [json.loads(line).get("id") for line in (*begun, *lines)] == [None, "ada", "bob", None, None]


def _without(kind: str) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [line for line in lines if json.loads(line)["kind"] != kind]


def _with(index: int, **values: Any) -> Callable[[list[bytes]], list[bytes]]:
    """Change one line."""
    return lambda lines: [
        *lines[:index],
        json.dumps(json.loads(lines[index]) | values).encode(),
        *lines[index + 1 :],
    ]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: lines[:-1], "line 9: the end is missing"),
        (lambda lines: [], "line 0: the end is missing"),
        (lambda lines: lines[1:], "line 1: the first line"),
        (lambda lines: [*lines, lines[-1]], "line 11: there is more behind the end"),
        (lambda lines: [lines[0], *lines], "line 2: the first line"),
        (lambda lines: [*lines[:2], *lines[1:]], "line 3: this is there twice"),
        (lambda lines: [b"\xff", *lines], "line 1: "),
        (lambda lines: [b"[" * 100_000, *lines], "line 1: "),
        (_without("edge"), "line 9: lines are missing"),
        (_with(0, format=3), "line 1: format 3 is not known"),
        (_with(1, props={"born": 1}), "line 10: the digest at the end does not fit the lines"),
        (_with(1, props={"born": 2**63}), "line 2: .*64 bits"),
        (_with(1, props=[1]), "line 2: Expected `object`"),
        (_with(1, version=4), "line 2: version 4 is later than the graph's, 3"),
        (_with(1, id=""), "line 2: id has 1 to 512 characters"),
        (_with(1, id="a\x00"), "line 2: id has no control characters"),
        (_with(5, dst="nobody"), "line 10: the digest"),
    ],
)
def test_what_is_no_whole_graph_leaves_nothing(
    engine: Engine, ref: GraphRef, spoil: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    lines = filled(engine, ref)
    copy = new_ref("acme", "copy")

    with pytest.raises(GraphInputError, match=message):
        engine.restore(copy, spoil(lines))

    with pytest.raises(WrongOwnerError):
        engine.graph(copy)
    assert len(engine.list(never)) == 1
    engine.restore(copy, lines)


def test_a_graph_comes_back_in_a_later_generation_only(engine: Engine, ref: GraphRef) -> None:
    lines = filled(engine, ref)
    engine.set_state(ref, GraphState.RETIRED, 1)
    engine.drop(ref)

    with pytest.raises(WrongOwnerError):
        engine.restore(ref, lines)
    back = ref._replace(generation=3)
    engine.restore(back, lines)

    with pytest.raises(WrongOwnerError):
        engine.drop(ref)
    assert [node.id for node in facts_of(engine, back)[0]] == ["ada", "bob", "cy", "old"]


def test_a_graph_that_is_here_is_not_restored(engine: Engine, ref: GraphRef) -> None:
    lines = filled(engine, ref)

    for other in (ref, ref._replace(incarnation=uuid.uuid4())):
        with pytest.raises(WrongOwnerError):
            engine.restore(other, lines)


def test_a_graph_that_is_read_while_it_is_dropped_goes_when_that_ends(engine: Engine, ref: GraphRef) -> None:
    filled(engine, ref)
    lines = engine.graph(ref).export(ref)
    next(lines)

    engine.drop(ref)

    assert engine.list(never) == []
    again = ref._replace(incarnation=uuid.uuid4())
    engine.create(again)
    with pytest.raises(WrongOwnerError):
        list(lines)
    assert facts_of(engine, again) == ([], [])
    assert engine.graph(again).scan(again, "", "", 1, never) == []

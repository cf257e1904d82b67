"""Feeds in an export: a graph that is elsewhere now does each of their lines once."""

import json
from collections.abc import Callable

import pytest

from argosy.errors import GraphInputError, KeyExpiredError, WrongOwnerError
from argosy.graph.facts import GraphRef, GraphState
from argosy.shards.engine import Engine
from tests.shards.engines import HORIZON_MS, NOW_MS, apply, facts_of, new_ref, person
from tests.shards.feeding import Upload, ingest, people, upload

LINES = upload(person("ada"), b"\xff", person("bob"), b"{", person("cy"))
OLD = people("old", feed="old")


def filled(engine: Engine, ref: GraphRef) -> list[bytes]:
    """Have a graph forget a feed and come to the fourth line of another one, and export it."""
    ingest(engine, ref, OLD.whole)
    ingest(engine, ref, LINES.batch(1, 4), NOW_MS + HORIZON_MS + 1)
    return list(engine.graph(ref).export(ref))


def young(lines: Upload) -> Upload:
    return lines._replace(made_at_ms=NOW_MS + 1)


def test_feeds_go_along(engine: Engine, ref: GraphRef) -> None:
    ingest(engine, ref, OLD.whole)
    ingest(engine, ref, young(LINES).batch(1, 4), NOW_MS + HORIZON_MS + 1)
    copy = new_ref("acme", "copy")

    engine.restore(copy, engine.graph(ref).export(ref))

    assert ingest(engine, copy, young(LINES).batch(1, 4)) == ingest(engine, ref, young(LINES).batch(1, 4))
    fed = ingest(engine, copy, young(LINES).batch(5, 5))
    assert fed.state == LINES.state(5, rejected=2)
    assert [(each.line, each.start) for each in fed.refused] == [(2, b"\xff"), (4, b"{")]
    with pytest.raises(KeyExpiredError):
        ingest(engine, copy, OLD.whole)
    assert [node.id for node in facts_of(engine, copy)[0]] == ["ada", "bob", "cy", "old"]


def test_the_copy_of_a_copy_is_the_same(engine: Engine, ref: GraphRef) -> None:
    lines = filled(engine, ref)
    copy = new_ref("acme", "copy")
    engine.restore(copy, lines)

    assert [*engine.graph(copy).export(copy)][1:-1] == lines[1:-1]


def test_a_graph_that_moves_away_and_back_takes_lines_where_it_is(engine: Engine, ref: GraphRef) -> None:
    ingest(engine, ref, LINES.batch(1, 2))
    lines = list(engine.graph(ref).export(ref))
    engine.set_state(ref, GraphState.RETIRED, 1)
    engine.drop(ref)
    later = ref._replace(generation=2)

    engine.restore(later, lines)

    with pytest.raises(WrongOwnerError):
        ingest(engine, ref, LINES.batch(3, 3))
    assert ingest(engine, later, LINES.batch(1, 2)).state == LINES.state(2, rejected=1)
    assert ingest(engine, later, LINES.batch(3, 5)).state == LINES.state(5, rejected=2)


def test_a_graph_without_feeds_is_exported_as_versions_read_it_that_know_none(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    first, *_, end = engine.graph(ref).export(ref)

    assert json.loads(first)["format"] == 1
    assert first.startswith(b'{"kind":"graph","format":1,')
    assert b"feeds" not in first + end


def _changed(kind: str, **values: object) -> Callable[[list[bytes]], list[bytes]]:
    def change(line: bytes) -> bytes:
        has = json.loads(line)
        return json.dumps(has | values).encode() if has["kind"] == kind else line

    return lambda lines: list(map(change, lines))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_changed("graph", format=1), "a graph of this format has no feeds"),
        (_changed("feed", next=0), "no feed has this chain at line 0"),
        (_changed("feed", chain="00"), "no feed has this chain"),
        (_changed("feed", chain="x"), "line 5: "),
        (_changed("feed", feed=""), "the name of a feed has 1 to"),
        (_changed("refused", reason="x" * 501), "more is said of a refused line than is kept"),
        (_changed("refused", feed=""), "the name of a feed has 1 to"),
        (_changed("end", feeds=0), "lines are missing"),
        (_changed("end", refused=1), "lines are missing"),
    ],
)
def test_what_is_no_feed_leaves_nothing(
    engine: Engine, ref: GraphRef, spoil: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    lines = filled(engine, ref)
    copy = new_ref("acme", "copy")

    with pytest.raises(GraphInputError, match=message):
        engine.restore(copy, spoil(lines))
    with pytest.raises(WrongOwnerError):
        engine.graph(copy)

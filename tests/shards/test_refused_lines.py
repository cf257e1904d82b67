"""Lines that an engine refuses: each alone, with its reason, told until somebody has confirmed them."""

from pathlib import Path

from argosy.graph.facts import GraphRef
from argosy.graph.feeds import REFUSED_MAX
from argosy.graph.ops import UpsertNode
from argosy.ingest.oversized import marker_of
from argosy.ingest.refusal import refusal_marker
from argosy.shards.engine import Engine
from tests.shards.engines import REJECTS_MAX, Opened, knows, person
from tests.shards.feeding import ids, ingest, upload


def test_a_line_is_refused_alone_and_says_why(engine: Engine, ref: GraphRef) -> None:
    lines = upload(
        b"{",
        person("ada"),
        knows("ada", "nobody"),
        b'{"op":"fly"}',
        UpsertNode("ada", "Person", if_absent=True),
        marker_of(3_000_000, bytes(16), b'{"op":"upsert_node","id":"'),
        b"\xff" * 300,
        person("bob"),
        refusal_marker("mapping_failed", "KeyError: 'id'", b"no\nJSON"),
    )

    fed = ingest(engine, ref, lines.whole)

    assert fed.state == lines.state(9, rejected=7)
    assert [(each.line, each.code) for each in fed.refused] == [
        (1, "invalid_graph_input"),
        (3, "graph_condition"),
        (4, "invalid_graph_input"),
        (5, "graph_condition"),
        (6, "graph_too_large"),
        (7, "invalid_graph_input"),
        (9, "mapping_failed"),
    ]
    assert "needs node 'nobody'" in fed.refused[1].reason
    assert fed.refused[4].start == b'{"op":"upsert_node","id":"'
    assert fed.refused[5].start == b"\xff" * 200
    assert fed.refused[6][2:] == ("KeyError: 'id'", b"no\nJSON")
    assert ids(engine, ref) == ["ada", "bob"]


def test_refused_lines_come_with_every_answer_to_who_has_not_confirmed_them(engine: Engine, ref: GraphRef) -> None:
    lines = upload(b"{", b"[", person("ada"), b"}")
    first = ingest(engine, ref, lines.batch(1, 2)).refused
    assert [each.line for each in first] == [1, 2]

    assert ingest(engine, ref, lines.batch(1, 2)).refused == first
    assert ingest(engine, ref, lines.asked()).refused == first
    assert [each.line for each in ingest(engine, ref, lines.batch(3, 4, confirmed=1)).refused] == [2, 4]
    assert ingest(engine, ref, lines.asked(confirmed=4)).refused == []
    late = ingest(engine, ref, lines.batch(1, 2))  # of somebody who has gone back to before
    assert (late.state, [each.line for each in late.refused]) == (lines.state(4, rejected=3), [1, 2, 4])


def test_only_so_many_refused_lines_are_kept_and_all_are_counted(engine: Engine, ref: GraphRef) -> None:
    lines = upload(*[b"x"] * (REJECTS_MAX - 1), person("ada"), *[b"x"] * 30)
    ingest(engine, ref, lines.batch(1, 5))

    fed = ingest(engine, ref, lines.batch(6, len(lines.lines)))

    assert fed.state == lines.state(len(lines.lines), rejected=REJECTS_MAX + 29)
    assert [each.line for each in fed.refused] == [*range(1, REJECTS_MAX), REJECTS_MAX + 1]


def test_what_has_many_refused_lines_is_told_in_parts(opened: Opened, tmp_path: Path, ref: GraphRef) -> None:
    engine = opened(tmp_path / "many", rejects_max=2 * REFUSED_MAX)
    engine.create(ref)
    lines = upload(*[b"x"] * (REFUSED_MAX + 2))

    first = ingest(engine, ref, lines.whole)
    rest = ingest(engine, ref, lines.asked(confirmed=first.refused[-1].line))

    assert ([each.line for each in first.refused], first.is_cut) == ([*range(1, REFUSED_MAX + 1)], True)
    assert ([each.line for each in rest.refused], rest.is_cut) == ([REFUSED_MAX + 1, REFUSED_MAX + 2], False)
    engine.close()

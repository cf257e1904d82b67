"""What every engine holds of feeds: each line is done once, whatever comes late, early, again, cut or mixed up."""

import uuid
from pathlib import Path
from typing import Any

import apsw
import pytest

from argosy.errors import GraphInputError, GraphTooLargeError, WrongOwnerError
from argosy.graph.facts import GraphRef, GraphState, Source
from argosy.graph.feeds import LINES_MAX, FeedBatch
from argosy.graph.ops import DeleteNode, MergeProps, UpsertNode
from argosy.ingest.chain import EMPTY
from argosy.shards.engine import Engine
from tests.shards.engines import NOW_MS, Opened, apply, facts_of, knows, never, person
from tests.shards.feeding import after, ids, ingest, people, upload


def test_lines_are_done_in_their_order(engine: Engine, ref: GraphRef) -> None:
    lines = upload(person("ada"), person("bob"), knows("ada", "bob"), MergeProps({"n": 1}, id="ada"), DeleteNode("bob"))

    fed = ingest(engine, ref, lines.batch(1, 5, source=Source("turn", "ingest/job")))

    assert fed == (lines.state(5), [], False, 1)
    (ada,), edges = facts_of(engine, ref)
    assert (ada.props, ada.version, ada.source, edges) == (b'{"n":1}', 1, Source("turn", "ingest/job"), [])


def test_lines_that_come_again_do_nothing(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada", "bob", "cy")
    first = ingest(engine, ref, lines.batch(1, 2))
    apply(engine, ref, DeleteNode("ada"))

    for batch in (lines.batch(1, 2), lines.batch(1, 1), lines.batch(2, 2), lines.batch(1, 3), lines.batch(2, 3)):
        assert ingest(engine, ref, batch) == first._replace(version=2)

    assert ids(engine, ref) == ["bob"]
    assert ingest(engine, ref, lines.batch(3, 3)).state == lines.state(3)


def test_lines_that_come_too_early_do_nothing(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada", "bob", "cy")

    assert ingest(engine, ref, lines.batch(2, 3)).state == lines.state(0)
    ingest(engine, ref, lines.batch(1, 1))
    assert ingest(engine, ref, lines.batch(3, 3)).state == lines.state(1)
    assert ids(engine, ref) == ["ada"]


def test_lines_of_another_upload_under_the_same_name_do_nothing(engine: Engine, ref: GraphRef) -> None:
    lines, others = people("ada", "bob", "cy"), people("ada", "eve", "cy")
    ingest(engine, ref, lines.batch(1, 2))

    assert ingest(engine, ref, others.batch(3, 3)).state == lines.state(2)
    assert ids(engine, ref) == ["ada", "bob"]


def test_feeds_of_a_graph_do_not_know_each_other(engine: Engine, ref: GraphRef) -> None:
    one, other = people("ada", "bob", feed="one"), people("ada", "cy", feed="other")
    ingest(engine, ref, one.whole)
    apply(engine, ref, DeleteNode("ada"))

    assert ingest(engine, ref, other.whole).state == other.state(2)
    assert ids(engine, ref) == ["ada", "bob", "cy"]
    assert engine.graph(ref).feeds(ref, ["one", "nothing", "other"]) == [one.state(2), None, other.state(2)]


def test_a_blank_line_counts_and_does_nothing(engine: Engine, ref: GraphRef) -> None:
    lines = upload(b"", b"  ", person("ada"), b"")

    assert ingest(engine, ref, lines.batch(1, 2)) == (lines.state(2, applied=0), [], False, 0)
    assert ingest(engine, ref, lines.batch(3, 4)) == (lines.state(4, applied=1), [], False, 1)


def test_a_version_is_of_lines_that_took_effect(engine: Engine, ref: GraphRef) -> None:
    lines = upload(b"{", person("ada"), person("bob"))

    assert ingest(engine, ref, lines.batch(1, 1)).version == 0
    assert ingest(engine, ref, lines.batch(2, 3)).version == 1
    assert apply(engine, ref, person("cy")).version == 2


def test_a_document_that_comes_again_replaces_what_it_was(engine: Engine, ref: GraphRef) -> None:
    text = "\n\n".join(f"{name} " * 150 for name in ("Argo", "Jason", "Medea"))
    document = {"op": "document", "id": "d", "text": text}
    lines = upload(document, {**document, "text": "Argo sails."}, feed="first")
    ingest(engine, ref, lines.batch(1, 1))
    chunks = [each for each in ids(engine, ref) if each.startswith("d#")]
    assert len(chunks) > 1
    apply(engine, ref, person("ada"), person("d#not-a-chunk-of-it"), knows("ada", chunks[-1]))

    assert ingest(engine, ref, lines.batch(2, 2)).state == lines.state(2)

    assert ids(engine, ref) == ["ada", "d", "d#00001", "d#not-a-chunk-of-it"]
    assert [edge[:3] for edge in facts_of(engine, ref)[1]] == [("d", "HAS_CHUNK", "d#00001")]
    found = engine.graph(ref).search(ref, "sails", 10, never)
    assert {hit.node.id for hit in found} == {"d", "d#00001"}
    assert engine.graph(ref).search(ref, "medea", 10, never) == []


def test_a_line_that_fails_half_done_leaves_nothing(engine: Engine, ref: GraphRef) -> None:
    engine.graph(ref).search(ref, "any", 1, never)  # there is an index from now on
    lines = upload(
        UpsertNode("ada", "Person", {"text": "before"}),
        UpsertNode("bob", "Person", vectors={"v": [1.0, 0.0]}),
        UpsertNode("eve", "Person", {"text": "never"}, vectors={"v": [1.0, 0.0, 0.0]}),
        {"op": "document", "id": "d", "text": "never either", "vectors": {"v": [[1.0]]}},
        UpsertNode("cy", "Person", {"text": "after"}),
    )

    fed = ingest(engine, ref, lines.whole)

    assert [(each.line, each.code) for each in fed.refused] == [(3, "invalid_graph_input"), (4, "invalid_graph_input")]
    assert ids(engine, ref) == ["ada", "bob", "cy"]
    stats = engine.graph(ref).stats()
    assert (stats.node_count, stats.edge_count, stats.version) == (3, 0, 1)
    assert [hit.node.id for hit in engine.graph(ref).search(ref, "before", 9, never)] == ["ada"]
    assert [hit.node.id for hit in engine.graph(ref).search(ref, "after", 9, never)] == ["cy"]
    assert engine.graph(ref).search(ref, "never", 9, never) == []
    assert [hit.node.id for hit in engine.graph(ref).nearest(ref, "v", [1.0, 0.0], 9, never)] == ["bob"]


def test_operations_of_one_line_are_done_together_or_not_at_all(engine: Engine, ref: GraphRef) -> None:
    lines = upload(
        {"op": "together", "ops": [person("ada"), person("bob"), knows("ada", "bob")]},
        {"op": "together", "ops": [person("eve"), {"op": "document", "id": "d", "text": "t"}, knows("eve", "nobody")]},
        {"op": "together", "ops": [DeleteNode("bob"), {"op": "document", "id": "notes", "text": "On the engine."}]},
    )

    ingested = engine.graph(ref).ingest(ref, lines.whole, NOW_MS, never)

    assert ingested.fed.state == lines.state(3, rejected=1)
    assert [(each.line, each.code) for each in ingested.fed.refused] == [(2, "graph_condition")]
    assert ids(engine, ref) == ["ada", "notes", "notes#00001"]
    assert list(ingested.ops)[:4] == [person("ada"), person("bob"), knows("ada", "bob"), DeleteNode("bob")]


def test_what_took_effect_is_said_in_its_order(engine: Engine, ref: GraphRef) -> None:
    lines = upload(person("ada"), b"x", knows("ada", "nobody"), person("bob"), knows("ada", "bob"), DeleteNode("ada"))

    ingested = engine.graph(ref).ingest(ref, lines.whole, NOW_MS, never)

    assert list(ingested.ops) == [person("ada"), person("bob"), knows("ada", "bob"), DeleteNode("ada")]
    assert list(engine.graph(ref).ingest(ref, lines.whole, NOW_MS, never).ops) == []


def test_numbers_may_have_holes(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada", "bob", "cy").lines
    mark = b"partition 3 of t"
    first = FeedBatch("topic", 0, 1, 100, EMPTY, mark, b"\n".join(lines[:2]), numbers=(7, 98))
    second = FeedBatch("topic", 0, 100, 101, mark, mark, lines[2], numbers=(100,))

    assert ingest(engine, ref, second).state.next == 1
    assert ingest(engine, ref, first).state == ("topic", 100, mark, 2, 0)
    assert ingest(engine, ref, second).state == ("topic", 101, mark, 3, 0)
    assert ingest(engine, ref, first).state == ("topic", 101, mark, 3, 0)
    assert ids(engine, ref) == ["ada", "bob", "cy"]


def test_lines_that_a_batch_leaves_come_again(engine: Engine, ref: GraphRef) -> None:
    lines = upload(person("ada"), b"{", b"", person("bob"), knows("ada", "bob"), person("cy"))

    assert ingest(engine, ref, lines.batch(1, 6), interrupt=after(2)).state == lines.state(2, rejected=1)
    assert ids(engine, ref) == ["ada"]
    assert ingest(engine, ref, lines.batch(3, 6), interrupt=after(0)).state == lines.state(3, applied=1, rejected=1)
    assert ingest(engine, ref, lines.batch(1, 6)).state == lines.state(3, applied=1, rejected=1)
    fed = ingest(engine, ref, lines.batch(4, 6), interrupt=after(3))

    assert (fed.state, [each.line for each in fed.refused]) == (lines.state(6, applied=4, rejected=1), [2])
    assert ids(engine, ref) == ["ada", "bob", "cy"]


@pytest.mark.parametrize("done", [1, 199, 200, 201, 450])
def test_what_is_left_was_not_done_and_all_before_it_was(engine: Engine, ref: GraphRef, done: int) -> None:
    lines = people(*(f"{number:03}" for number in range(450)))

    ingested = engine.graph(ref).ingest(ref, lines.whole, NOW_MS, after(done))

    assert ingested.fed.state == lines.state(done)
    assert ids(engine, ref) == [f"{number:03}" for number in range(done)]
    assert (ingested.applied, len(ingested.ops), ingested.size_bytes) == (done, done, done * (len(lines.lines[0]) + 1))


def test_numbers_that_are_left_come_again(engine: Engine, ref: GraphRef) -> None:
    mark = b"partition 3 of t"
    batch = FeedBatch(
        "topic", 0, 1, 100, EMPTY, mark, b"\n".join(people("ada", "bob", "cy").lines), numbers=(7, 98, 99)
    )

    assert ingest(engine, ref, batch, interrupt=after(1)).state == ("topic", 98, mark, 1, 0)
    assert ingest(engine, ref, batch).state == ("topic", 98, mark, 1, 0)
    left = batch._replace(first=98, before=mark, lines=batch.lines.partition(b"\n")[2], numbers=(98, 99))
    assert ingest(engine, ref, left).state == ("topic", 100, mark, 3, 0)
    assert ids(engine, ref) == ["ada", "bob", "cy"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"feed": ""},
        {"feed": "x" * 513},
        {"first": 0},
        {"end": 0},
        {"end": 2},
        {"end": 4},
        {"end": 2**63},
        {"before": b""},
        {"after": EMPTY},
        {"made_at_ms": -1},
        {"confirmed": -1},
        {"lines": b""},
        {"numbers": (1, 1)},
        {"numbers": (2, 1)},
        {"numbers": (1, 3)},
        {"numbers": (0, 2)},
        {"numbers": (1,)},
        {"end": 1},
        {"first": 3},
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(engine: Engine, ref: GraphRef, wrong: dict[str, Any]) -> None:
    batch = people("ada", "bob").whole._replace(**wrong)

    with pytest.raises(GraphInputError, match="feed: "):
        ingest(engine, ref, batch)
    assert ids(engine, ref) == []


def test_another_life_of_the_graph_knows_nothing_of_a_feed(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada")
    ingest(engine, ref, lines.whole)
    engine.drop(ref)
    again = ref._replace(incarnation=uuid.uuid4())
    engine.create(again)

    for late in (ref, ref._replace(generation=2), again._replace(generation=2)):
        with pytest.raises(WrongOwnerError):
            ingest(engine, late, lines.whole)
        with pytest.raises(WrongOwnerError):
            engine.graph(late).feeds(late, ["job"])
    assert engine.graph(again).feeds(again, ["job"]) == [None]
    assert ingest(engine, again, lines.whole).state == lines.state(1)


def test_a_graph_that_is_moved_takes_no_lines(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada", "bob")
    graph = engine.graph(ref)
    ingest(engine, ref, lines.batch(1, 1))

    engine.set_state(ref, GraphState.SEALED, 1)
    with pytest.raises(WrongOwnerError):
        ingest(engine, ref, lines.batch(2, 2))
    with pytest.raises(WrongOwnerError):  # also of such as it has: an answer would let others pass on
        ingest(engine, ref, lines.batch(1, 1))
    assert graph.feeds(ref, ["job"]) == [lines.state(1)]

    engine.set_state(ref, GraphState.RETIRED, 1)
    with pytest.raises(WrongOwnerError):
        graph.feeds(ref, ["job"])


def test_a_file_has_tables_of_feeds_from_the_first_one_on_and_no_other_format(opened: Opened, tmp_path: Path) -> None:
    engine = opened(tmp_path)
    ref = GraphRef("acme", "people", uuid.uuid4(), 1)
    engine.create(ref)
    (path,) = [each for each in tmp_path.rglob("*.db") if each.parent != tmp_path]
    apply(engine, ref, person("ada"))
    engine.graph(ref).feeds(ref, ["job"])
    ingest(engine, ref, people("bob").asked())
    before = schema_of(path)

    ingest(engine, ref, people("bob").whole)

    after = schema_of(path)
    assert after[0] == before[0]
    assert after[1] - before[1] == {"feed", "feed_used", "refused", "feed_forgotten"}
    engine.close()


def schema_of(path: Path) -> tuple[int, set[str]]:
    connection = apsw.Connection(str(path))
    try:
        return connection.pragma("user_version"), {
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema")
        }
    finally:
        connection.close()


def test_too_many_lines_at_once_are_refused(engine: Engine, ref: GraphRef) -> None:
    lines = upload(*[b""] * (LINES_MAX + 1))

    with pytest.raises(GraphTooLargeError):
        ingest(engine, ref, lines.whole)

"""What every engine holds: nodes are found by text and by vectors, and a summary says what there is."""

import threading
from pathlib import Path

import pytest

from argosy.errors import GraphDeadlineError, GraphInputError, WrongOwnerError
from argosy.graph.facts import GraphRef, GraphState, LabelCount
from argosy.graph.ops import VECTORS_MAX, DeleteNode, MergeProps, UpsertEdge, UpsertNode
from argosy.shards.engine import Engine
from argosy.shards.engines import summary as module
from tests.shards.engines import NO_SOURCE, NOW_MS, Opened, apply, knows, never, new_ref, person


def search(engine: Engine, ref: GraphRef, text: str, limit: int = 10) -> list[str]:
    return [hit.node.id for hit in engine.graph(ref).search(ref, text, limit, never)]


def nearest(engine: Engine, ref: GraphRef, *vector: float) -> list[str]:
    return [hit.node.id for hit in engine.graph(ref).nearest(ref, "e", vector, 10, never)]


def test_a_search_sees_what_was_applied_before_and_after_its_first_time(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada", about="C++ and 日本"), person("bob", about="C"))
    assert search(engine, ref, "C++") == ["ada"]

    apply(
        engine, ref, MergeProps({"about": "C++"}, id="bob"), DeleteNode("ada"), person("cy", about="state-of-the-art")
    )

    assert search(engine, ref, "C++") == ["bob"]
    assert search(engine, ref, "日本") == []
    assert search(engine, ref, "state-of-the-art") == ["cy"]


def test_what_was_found_is_found_after_opening_again(opened: Opened, tmp_path: Path) -> None:
    first = opened(tmp_path)
    ref = new_ref()
    first.create(ref)
    apply(first, ref, UpsertNode("ada", "Person", vectors={"e": [1, 0]}), person("bob"))
    assert (search(first, ref, "ada"), nearest(first, ref, 1, 0)) == (["ada"], ["ada"])
    apply(first, ref, UpsertNode("cy", "Person", vectors={"e": [0, 1]}))
    first.close()

    second = opened(tmp_path)

    assert (search(second, ref, "cy"), nearest(second, ref, 0, 1)) == (["cy"], ["cy", "ada"])
    second.close()


def test_a_node_keeps_its_other_vectors_where_that_is_said(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, UpsertNode("ada", "Person", vectors={"e": [1, 0], "f": [1]}))
    apply(engine, ref, UpsertNode("ada", "Person", vectors={"f": [2]}, keep_vectors=True), person("bob"))
    apply(engine, ref, UpsertNode("bob", "Person", vectors={"e": [0, 1]}, keep_vectors=True))
    assert nearest(engine, ref, 1, 0) == ["ada", "bob"]

    apply(engine, ref, UpsertNode("ada", "Person", vectors={"e": [-1, 0]}, keep_vectors=True))
    assert nearest(engine, ref, 1, 0) == ["bob", "ada"]
    apply(engine, ref, MergeProps({"born": 1815}, "bob", vectors={"e": [-1, 0.5]}), MergeProps({}, "ada"))
    assert nearest(engine, ref, 0, 1) == ["bob", "ada"]
    apply(engine, ref, UpsertNode("ada", "Person", vectors={"f": [3]}))
    assert nearest(engine, ref, 1, 0) == ["bob"]


def test_a_node_has_no_more_vectors_than_it_may_however_they_come(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, UpsertNode("ada", "Person", vectors={f"v{number}": [1.0] for number in range(VECTORS_MAX)}))
    more = UpsertNode("ada", "Robot", vectors={"one more": [1.0]}, keep_vectors=True)

    refused = [apply(engine, ref, each) for each in (more, MergeProps({}, "ada", vectors={"one more": [1.0]}))]
    replaced = apply(engine, ref, UpsertNode("ada", "Robot", vectors={"v0": [2.0]}, keep_vectors=True))

    assert [each.reason for each in refused] == ["node 'ada' would have 9 vectors, 8 at the most"] * 2
    assert replaced.version == 2


def test_a_batch_that_is_refused_leaves_nothing_to_be_found(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, UpsertNode("ada", "Person", vectors={"e": [1, 0]}))
    assert search(engine, ref, "ada") == ["ada"]

    with pytest.raises(GraphInputError, match="has 3 numbers"):
        apply(engine, ref, person("bob"), UpsertNode("cy", "Person", vectors={"e": [1, 0, 0]}))
    apply(engine, ref, person("dee"), knows("dee", "nobody"))

    assert search(engine, ref, "ada bob cy dee") == ["ada"]
    assert nearest(engine, ref, 1, 0) == ["ada"]


def test_a_graph_made_again_has_nothing_of_the_one_before(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, UpsertNode("ada", "Person", vectors={"e": [1, 0]}))
    assert (search(engine, ref, "ada"), nearest(engine, ref, 1, 0)) == (["ada"], ["ada"])
    engine.drop(ref)
    again = new_ref()
    engine.create(again)

    assert (search(engine, again, "ada"), nearest(engine, again, 1, 0)) == ([], [])
    apply(engine, again, UpsertNode("bob", "Person", vectors={"e": [0, 0, 1]}))
    assert (search(engine, again, "bob"), nearest(engine, again, 0, 0, 1)) == (["bob"], ["bob"])


def test_a_sealed_graph_is_searched_and_a_retired_one_is_not(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    engine.set_state(ref, GraphState.SEALED, 1)
    assert search(engine, ref, "ada") == ["ada"]

    engine.set_state(ref, GraphState.RETIRED, 1)

    graph = engine.graph(ref)
    with pytest.raises(WrongOwnerError):
        graph.search(ref, "ada", 1, never)
    with pytest.raises(WrongOwnerError):
        graph.nearest(ref, "e", [1.0], 1, never)
    with pytest.raises(WrongOwnerError):
        graph.summary(ref, never)


def test_a_search_that_is_stopped_leaves_its_work_to_the_next(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, *[person(f"n{number}") for number in range(3_000)])
    asked = 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(GraphDeadlineError):
        engine.graph(ref).search(ref, "n2999", 10, soon)

    assert search(engine, ref, "n2999") == ["n2999"]


def test_searches_and_writes_go_on_at_a_time(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, *[person(f"n{number}", at="begin") for number in range(1_200)])
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(20):
            if len(search(engine, ref, "begin", 2_000)) != 1_200:
                wrong.append("begin")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(100):
        apply(engine, ref, person(f"late{number}", at="late"))
        if search(engine, ref, f"late{number}", 1) != [f"late{number}"]:
            wrong.append(f"late{number}")
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_summary_says_what_there_is(engine: Engine, ref: GraphRef) -> None:
    assert engine.graph(ref).summary(ref, never) == ([], [])
    apply(
        engine,
        ref,
        person("ada", born=1815, name="Ada"),
        person("bob", name="Bob"),
        UpsertNode("c++", "言語", {"a b": [1, {"deep": 2}], "none": None}),
        knows("ada", "bob", since=1833),
        knows("bob", "ada"),
        UpsertEdge("ada", "USES", "c++"),
    )

    summary = engine.graph(ref).summary(ref, never)

    assert summary.nodes == [
        LabelCount("Person", 2, [("name", 2), ("born", 1)]),
        LabelCount("言語", 1, [("a b", 1), ("none", 1)]),
    ]
    assert summary.edges == [LabelCount("KNOWS", 2, [("since", 1)]), LabelCount("USES", 1, [])]


def test_a_summary_is_of_what_was_applied_last(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    assert engine.graph(ref).summary(ref, never).nodes == [LabelCount("Person", 1, [])]

    apply(engine, ref, DeleteNode("ada"), person("bob", born=1), person("cy", born=1))

    assert engine.graph(ref).summary(ref, never).nodes == [LabelCount("Person", 2, [("born", 2)])]


def test_a_summary_of_much_is_an_estimate(engine: Engine, ref: GraphRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NODES_SAMPLED_MAX", 10)
    monkeypatch.setattr(module, "EDGES_SAMPLED_MAX", 10)
    monkeypatch.setattr(module, "EDGES_COUNTED_MAX", 50)
    nodes = [person(f"n{number:03}", **({"even": 1} if number % 2 == 0 else {})) for number in range(100)]
    edges = [knows(f"n{number:03}", "n000", since=1) for number in range(100)]
    apply(engine, ref, *nodes, *edges)

    summary = engine.graph(ref).summary(ref, never)

    assert summary.nodes == [LabelCount("Person", 100, [("even", 50)])]
    assert summary.edges == [LabelCount("KNOWS", 100, [("since", 100)])]


def test_a_summary_stops_when_it_has_to(engine: Engine, ref: GraphRef) -> None:
    with pytest.raises(GraphDeadlineError):
        engine.graph(ref).summary(ref, lambda: True)


def test_a_restored_graph_is_searched_as_the_one_that_was_exported(
    engine: Engine, ref: GraphRef, opened: Opened, tmp_path: Path
) -> None:
    apply(engine, ref, UpsertNode("ada", "Person", {"about": "C++"}, vectors={"e": [1, 0]}), person("bob"))
    assert search(engine, ref, "C++") == ["ada"]
    lines = list(engine.graph(ref).export(ref))
    other = opened(tmp_path / "other")

    other.restore(ref, lines)

    assert (search(other, ref, "C++"), nearest(other, ref, 1, 0)) == (["ada"], ["ada"])
    with pytest.raises(GraphInputError, match="has 1 numbers"):
        apply(other, ref, UpsertNode("cy", "Person", vectors={"e": [1]}))
    other.close()


def test_what_is_loaded_at_once_is_found(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    assert search(engine, ref, "ada") == ["ada"]
    graph = engine.graph(ref)

    graph.bulk_load(
        ref,
        [
            [person(f"n{number}", about="loaded"), UpsertNode(f"v{number}", "V", vectors={"e": [number + 1.0, 1.0]})]
            for number in range(300)
        ],
        source=NO_SOURCE,
        now_ms=NOW_MS,
    )

    assert len(search(engine, ref, "loaded", 1_000)) == 300
    assert nearest(engine, ref, 0, 1)[0] == "v0"

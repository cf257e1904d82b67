"""Odd names, large values, many graphs, many threads, and two processes in one folder."""

import gc
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import GraphDeadlineError, SettingError, WrongOwnerError
from argosy.graph.facts import Direction, GraphRef
from argosy.graph.ops import PROPS_SIZE_BYTES_MAX, DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode
from argosy.shards.engine import Batch, Engine
from tests.shards.engines import (
    BOUNDS,
    NO_SOURCE,
    NOW_MS,
    Opened,
    apply,
    facts_of,
    knows,
    never,
    new_ref,
    open_sqlite,
    person,
)

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("acme", "Acme/Corp"), ("acme", "acme_corp")),
        (("acme", "people"), ("acme", "People")),
        (("acme", "a/../../b"), ("acme", "b")),
        (("acme", "🦜 日本"), ("acme", "🦜 日本 ")),
        (("acme", "x" * 300), ("acme", "x" * 299)),
        (("a", "bc"), ("ab", "c")),
        (("other", "people"), ("acme", "people")),
        (("acme", "e\u0301"), ("acme", "\u00e9")),
    ],
)
def test_graphs_with_names_that_look_alike_are_two(
    engine: Engine, one: tuple[str, str], other: tuple[str, str]
) -> None:
    refs = [new_ref(*one), new_ref(*other)]
    for ref in refs:
        engine.create(ref)

    apply(engine, refs[0], person("ada"))

    assert facts_of(engine, refs[1]) == ([], [])
    assert sorted(name for name, _ in engine.list(never)) == sorted([one, other])
    engine.drop(refs[1])
    assert len(facts_of(engine, refs[0])[0]) == 1


def test_another_tenant_s_call_finds_nothing(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    foreign = ref._replace(tenant="other")

    with pytest.raises(WrongOwnerError):
        engine.graph(foreign)
    with pytest.raises(WrongOwnerError):
        engine.graph(ref).get_nodes(foreign, ["ada"])
    engine.drop(foreign)
    assert len(facts_of(engine, ref)[0]) == 1


@pytest.mark.parametrize("generation", [0, 2])
def test_another_generation_changes_nothing(engine: Engine, ref: GraphRef, generation: int) -> None:
    apply(engine, ref, person("ada"))
    graph, stale = engine.graph(ref), ref._replace(generation=generation)

    with pytest.raises(WrongOwnerError):
        engine.graph(stale)
    with pytest.raises(WrongOwnerError):
        graph.apply(stale, [person("bob")], key=None, token=None, source=NO_SOURCE, now_ms=NOW_MS)
    with pytest.raises(WrongOwnerError):
        graph.bulk_load(stale, [[person("bob")]], source=NO_SOURCE, now_ms=NOW_MS)
    with pytest.raises(WrongOwnerError):
        graph.export(stale)
    assert [node.id for node in facts_of(engine, ref)[0]] == ["ada"]


def test_a_folder_has_one_process(opened: Opened, engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="another shard"):
        opened(tmp_path / "shard")
    other = subprocess.run(
        [sys.executable, "-m", "tests.shards.touching_child", tmp_path / "shard", "1", "1"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is the folder of another shard, which is running" in other.stderr


def test_an_empty_folder_is_another_member(opened: Opened, tmp_path: Path) -> None:
    engines = [opened(tmp_path / name) for name in "ab"]

    assert engines[0].member_id != engines[1].member_id
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("props", [{"text": "x" * 1_000_000}, {"a": {"b": [2**63 - 1, -(2**63), 1.5, None, "🦜"]}}])
def test_props_stay_as_they_are(engine: Engine, ref: GraphRef, props: dict[str, Any]) -> None:
    apply(engine, ref, UpsertNode("a", "N", props), UpsertEdge("a", "T", "a", props))

    (node,), (edge,) = facts_of(engine, ref)
    assert json.loads(node.props) == json.loads(edge.props) == props


def test_merged_props_have_a_bound_too(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("a", x="x" * (PROPS_SIZE_BYTES_MAX - 20)))

    applied = apply(engine, ref, MergeProps({"y": "y" * 100}, id="a"))

    assert applied.failed == 0
    assert "at the most" in applied.reason


def test_later_operations_of_a_batch_see_earlier_ones(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("a", n=1), person("a", n=2), knows("a", "a"), DeleteNode("a"), person("a", n=3))

    (node,), edges = facts_of(engine, ref)
    assert (node.props, edges, engine.graph(ref).stats().node_count) == (b'{"n":3}', [], 1)


def test_batches_of_one_commit_do_not_depend_on_each_other(engine: Engine, ref: GraphRef) -> None:
    def batch(*ops: Op, of: GraphRef = ref) -> Batch:
        return Batch(of, ops, None, None, NO_SOURCE)

    outcomes = engine.graph(ref).apply_many(
        [
            batch(person("a")),
            batch(person("b"), knows("b", "nobody")),
            batch(person("c"), of=ref._replace(generation=9)),
            batch(knows("a", "a")),
        ],
        NOW_MS,
    )

    assert [getattr(outcome, "version", type(outcome)) for outcome in outcomes] == [1, 0, WrongOwnerError, 2]
    assert [node.id for node in facts_of(engine, ref)[0]] == ["a"]


def test_a_node_with_very_many_edges_goes(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("hub"), *(person(f"n{n}") for n in range(2_500)))
    apply(engine, ref, *(knows("hub", f"n{n}") for n in range(2_500)), *(knows(f"n{n}", "hub") for n in range(1_500)))

    apply(engine, ref, DeleteNode("hub"))

    assert engine.graph(ref).stats()[3:5] == (2_500, 0)


def test_a_walk_around_a_hub_ends_at_its_limit(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("hub"), *(person(f"n{n}") for n in range(300)))
    apply(engine, ref, *(knows("hub", f"n{n}") for n in range(300)))

    def walk(limit: int) -> tuple[int, bool]:
        found = engine.graph(ref).neighbors(
            ref, ["hub"], types=(), direction=Direction.BOTH, depth=2, limit=limit, interrupt=never
        )
        return len(found.nodes), found.is_cut

    assert [walk(limit) for limit in (1, 50, 300, 301, 400)] == [
        (1, True),
        (50, True),
        (300, True),
        (301, False),
        (301, False),
    ]


def test_a_walk_begins_at_those_that_are_there(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("a"))
    ids = [*(f"missing {n}" for n in range(300)), "a"]

    found = engine.graph(ref).neighbors(ref, ids, types=(), direction=Direction.OUT, depth=1, limit=2, interrupt=never)

    assert ([node.id for node in found.nodes], found.is_cut) == (["a"], False)


def test_a_read_stops_when_it_has_to(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, *(person(f"n{n}") for n in range(5_000)))
    asked: list[None] = []

    def soon() -> bool:
        asked.append(None)
        return len(asked) > 3

    with pytest.raises(GraphDeadlineError):
        engine.graph(ref).scan(ref, "", "", 5_000, soon)
    assert len(engine.graph(ref).scan(ref, "", "", 5_000, never)) == 5_000


def test_graphs_that_are_closed_meanwhile_stay_the_same(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path, BOUNDS._replace(graphs=2))
    refs = [new_ref(graph=str(n)) for n in range(6)]
    graphs = []
    for ref in refs:
        engine.create(ref)
        graphs.append(engine.graph(ref))
    gc.collect()

    def use(number: int) -> None:
        for n in range(60):
            ref = refs[(number + n) % len(refs)]
            apply(engine, ref, person(f"{number}-{n}"))
            assert engine.graph(ref).get_nodes(ref, [f"{number}-{n}"])[0] is not None

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [engine.graph(ref) for ref in refs] == graphs
    assert sum(engine.graph(ref).stats().version for ref in refs) == 240
    assert engine.open_count <= 2 + 4
    engine.close()


@pytest.mark.parametrize(("count", "open_max"), [(40, 10), pytest.param(1_000, 200, marks=pytest.mark.slow)])
def test_many_graphs_take_bounded_memory_and_descriptors(tmp_path: Path, count: int, open_max: int) -> None:
    command = [sys.executable, "-m", "tests.shards.touching_child", str(tmp_path), str(count), str(open_max)]
    said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()

    rss_bytes, descriptors = map(int, said)
    assert rss_bytes < 150_000_000
    assert descriptors < 3 * open_max + 30

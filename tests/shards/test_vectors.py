"""The nearest vectors are found: exactly while they are few, and as the file has them at every moment."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.errors import GraphDeadlineError, GraphInputError
from argosy.graph.ops import DeleteNode, MergeProps, Op, UpsertNode
from argosy.shards.engine import Interrupt
from argosy.shards.engines import vectors as module
from argosy.shards.engines.connections import Connections, OpenGraphs
from argosy.shards.engines.filler import Filler
from argosy.shards.engines.finder import Finder
from argosy.shards.engines.vectors import VectorMemory, Vectors
from tests.shards.engines import BOUNDS, never
from tests.shards.one_file import OneFile

LARGE = 1 << 30


class VectorFile(OneFile):
    def __init__(self, path: Path, memory: VectorMemory) -> None:
        self.vectors = Vectors(memory)
        super().__init__(path, self.vectors)

    def nearest(self, *vector: float, name: str = "e", limit: int = 10) -> list[str]:
        return list(self.scores(*vector, name=name, limit=limit))

    def scores(self, *vector: float, name: str = "e", limit: int = 10) -> dict[str, float]:
        with self.reading() as connection:
            hits = self.vectors.nearest(connection, name, vector, limit, lambda: False)
        return {hit.node.id: hit.score for hit in hits}


@pytest.fixture
def memory() -> VectorMemory:
    return VectorMemory(LARGE)


@pytest.fixture
def file(tmp_path: Path, memory: VectorMemory) -> Iterator[VectorFile]:
    file = VectorFile(tmp_path / "graph.db", memory)
    yield file
    file.close()


def node(node_id: str, *vector: float, name: str = "e") -> UpsertNode:
    return UpsertNode(id=node_id, label="Note", vectors={name: list(vector)})


def test_the_nearest_by_cosine_come_first(file: VectorFile) -> None:
    file.apply(node("right", 9, 0), node("up", 0, 0.1), node("between", 3, 4), node("left", -1, 0))

    scores = file.scores(2, 0)

    assert list(scores) == ["right", "between", "up", "left"]
    assert list(scores.values()) == pytest.approx([1, 0.6, 0, -1], abs=1e-6)
    assert file.nearest(2, 0, limit=2) == ["right", "between"]


def test_a_node_has_several_vectors_by_name(file: VectorFile) -> None:
    file.apply(UpsertNode(id="ada", label="Person", vectors={"face": [1, 0], "日本": [0, 0, 1]}))

    assert file.nearest(1, 0, name="face") == ["ada"]
    assert file.nearest(0, 0, 1, name="日本") == ["ada"]
    assert file.nearest(1, 0, name="other") == []


def test_the_first_one_written_fixes_the_dimension(file: VectorFile) -> None:
    file.apply(node("ada", 1, 0))

    with pytest.raises(GraphInputError, match=r"vectors.e of node 'bob' has 3 numbers, and in this graph .* have 2"):
        file.apply(node("bob", 1, 0, 0))
    with pytest.raises(GraphInputError, match="has 2 numbers in this graph, not 1"):
        file.nearest(1)
    with pytest.raises(GraphInputError, match="has 3 numbers"):
        file.apply(node("new", 1, 2, name="other"), node("newer", 1, 2, 3, name="other"))

    assert file.nearest(1, 0) == ["ada"]


def test_a_name_without_vectors_can_have_another_dimension(file: VectorFile) -> None:
    file.apply(node("ada", 1, 0))
    assert file.nearest(1, 0) == ["ada"]

    file.apply(node("ada", 0, 0, 1))

    assert file.nearest(0, 0, 1) == ["ada"]


@pytest.mark.parametrize("vector", [(0.0, 0.0), (float("nan"), 1.0), (float("inf"), 0.0)])
def test_a_search_for_what_has_no_direction_is_refused(file: VectorFile, vector: tuple[float, ...]) -> None:
    file.apply(node("ada", 1, 0))

    with pytest.raises(GraphInputError, match="finite numbers that are not all 0"):
        file.nearest(*vector)


def test_an_upsert_without_vectors_leaves_them_and_others_replace_them(file: VectorFile) -> None:
    file.apply(node("ada", 1, 0), node("bob", 0, 1))
    file.apply(UpsertNode(id="ada", label="Person"), MergeProps(id="ada", props={"born": 1815}))
    assert file.nearest(1, 0, limit=1) == ["ada"]

    file.apply(node("ada", -1, 0), UpsertNode(id="bob", label="Person", vectors={}))

    assert file.scores(1, 0) == {"ada": pytest.approx(-1)}


def test_what_is_deleted_or_rolled_back_is_not_found(file: VectorFile) -> None:
    file.apply(node("ada", 1, 0), node("bob", 0, 1))
    assert file.nearest(1, 0) == ["ada", "bob"]

    file.apply(DeleteNode(id="ada"))
    file.apply_and_roll_back(node("cy", 1, 0), DeleteNode(id="bob"))
    file.apply(node("dee", 1, 1))

    assert file.nearest(1, 0) == ["dee", "bob"]


def test_the_nearest_are_found_behind_many_that_were_deleted(file: VectorFile) -> None:
    file.apply(*[node(f"n{number}", 1, number / 1_000) for number in range(500)])
    assert file.nearest(1, 0, limit=1) == ["n0"]

    file.apply(*[DeleteNode(id=f"n{number}") for number in range(499)])

    assert file.nearest(1, 0, limit=5) == ["n499"]


def test_numbers_too_small_for_float32_are_no_direction_and_do_no_harm(file: VectorFile) -> None:
    file.apply(node("tiny", 1e-60, 0), node("ada", 1, 0))

    assert file.scores(1, 0) == {"ada": pytest.approx(1), "tiny": 0}


def test_a_search_stops_when_it_has_to(file: VectorFile) -> None:
    file.apply(node("ada", 1, 0))

    with file.reading() as connection, pytest.raises(GraphDeadlineError):
        file.vectors.nearest(connection, "e", [1, 0], 10, lambda: True)


def test_layers_find_nearly_all_that_exact_search_finds(file: VectorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_MAX", 1_000)
    random = np.random.default_rng(5)
    centers = random.standard_normal((40, 32))
    rows = centers[np.arange(3_000) % 40] + 0.4 * random.standard_normal((3_000, 32))
    file.apply(*[node(f"n{number}", *row) for number, row in enumerate(rows.tolist())])
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    queries = centers + 0.4 * random.standard_normal((40, 32))

    found = total = 0
    for query in queries.tolist():
        exact = {f"n{each}" for each in np.argsort(-(units @ query))[:10]}
        found += len(exact.intersection(file.nearest(*query)))
        total += 10

    assert found / total > 0.95


def test_layers_are_kept_current_while_they_are_made(file: VectorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_MAX", 100)
    monkeypatch.setattr(module, "LAYERS_PART", 40)
    random = np.random.default_rng(7)
    rows = {f"n{number}": random.standard_normal(8).tolist() for number in range(300)}
    file.apply(*[node(node_id, *row) for node_id, row in rows.items()])

    for at in range(12):
        rows[f"n{at}"] = random.standard_normal(8).tolist()
        rows.pop(f"n{at + 100}")
        file.apply(node(f"n{at}", *rows[f"n{at}"]), DeleteNode(id=f"n{at + 100}"))
        for node_id in (f"n{at}", f"n{at + 50}", "n299"):
            assert file.nearest(*rows[node_id], limit=1) == [node_id]


def test_layers_are_filled_beside_searches_from_the_first_one_on(
    tmp_path: Path, memory: VectorMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXACT_MAX", 100)
    rows = np.random.default_rng(7).standard_normal((2_000, 8)).tolist()
    file = VectorFile(tmp_path / "graph.db", memory)
    file.apply(*[node(f"n{number}", *row) for number, row in enumerate(rows)])
    file.close()
    filler, opened = Filler(), OpenGraphs(BOUNDS)
    finder = Finder(Connections(tmp_path / "graph.db", opened), memory, filler)

    (first,) = finder.nearest("e", rows[1_999], 1, never)
    begun = memory.count
    eventually(lambda: memory.count == 2_000)
    (last,) = finder.nearest("e", rows[1_998], 1, never)
    eventually(lambda: not filler.is_busy)

    assert [hit.node.id for hit in (first, last)] == ["n1999", "n1998"]
    assert begun < 2_000
    filler.close()
    opened.close()


def test_what_fills_memory_ends_with_its_engine() -> None:
    filler, begun = Filler(), threading.Event()

    class Endless:
        def fill(self, name: str, interrupt: Interrupt) -> bool:
            begun.set()
            return True

    filler.ask(Endless(), "e")
    assert begun.wait(5)
    filler.close()

    assert not filler.is_busy
    filler.ask(Endless(), "e")
    assert not filler.is_busy


def eventually(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.005)


@pytest.mark.parametrize("size_bytes_max", [0, 20_000])
def test_what_has_no_room_in_memory_is_compared_from_the_file(tmp_path: Path, size_bytes_max: int) -> None:
    memory = VectorMemory(size_bytes_max)
    random = np.random.default_rng(3)
    rows = [random.standard_normal(8).tolist() for _ in range(2_000)]
    file = VectorFile(tmp_path / "graph.db", memory)
    file.apply(*[node(f"n{number}", *row) for number, row in enumerate(rows)])

    for number in (0, 999, 1_000, 1_999):
        assert file.nearest(*rows[number], limit=1) == [f"n{number}"]

    assert memory.size_bytes <= size_bytes_max + 4_096
    file.close()


def test_memory_holds_what_was_asked_for_last(tmp_path: Path) -> None:
    memory = VectorMemory(600_000)
    files = [VectorFile(tmp_path / f"{number}.db", memory) for number in range(4)]
    rows = np.random.default_rng(9).standard_normal((1_500, 32)).tolist()
    for file in files:
        file.apply(*[node(f"n{number}", *row) for number, row in enumerate(rows)])

    for _ in range(2):
        for file in files:
            assert file.nearest(*rows[1_499], limit=1) == ["n1499"]
            assert memory.size_bytes <= 600_000

    for file in files:
        file.close()
    del file, files
    gc.collect()
    assert memory.size_bytes == 0


def test_memory_begins_anew_when_most_of_it_is_gone_from_the_file(file: VectorFile, memory: VectorMemory) -> None:
    rows = np.random.default_rng(9).standard_normal((1_000, 8)).tolist()
    most = 0
    for _ in range(10):
        file.apply(*[node(f"n{number}", *row) for number, row in enumerate(rows)])
        assert file.nearest(*rows[999], limit=1) == ["n999"]
        most = max(most, memory.size_bytes)

    assert memory.size_bytes < most


def test_several_threads_ask_at_a_time(tmp_path: Path, memory: VectorMemory) -> None:
    file = VectorFile(tmp_path / "graph.db", memory)
    random = np.random.default_rng(1)
    rows = [random.standard_normal(4).tolist() for _ in range(1_500)]
    file.apply(*[node(f"n{number}", *row) for number, row in enumerate(rows)])
    wrong: list[str] = []

    def ask(start: int) -> None:
        with file.another_connection() as connection:
            for number in range(start, 1_500, 100):
                (hit,) = file.vectors.nearest(connection, "e", rows[number], 1, lambda: False)
                if hit.node.id != f"n{number}":
                    wrong.append(hit.node.id)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    file.close()


_IDS = st.sampled_from("abcde")
_VECTORS = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=2).filter(any)
_OPS: st.SearchStrategy[Op] = st.one_of(
    st.builds(lambda node_id, vector: node(node_id, *vector), _IDS, _VECTORS),
    st.builds(DeleteNode, id=_IDS),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(_OPS, min_size=1, max_size=4), max_size=8), vector=_VECTORS)
def test_memory_agrees_with_the_file(
    tmp_path_factory: pytest.TempPathFactory, memory: VectorMemory, batches: list[list[Op]], vector: list[float]
) -> None:
    file = VectorFile(tmp_path_factory.mktemp("file") / "graph.db", memory)
    there: dict[str, list[float]] = {}
    for batch in batches:
        file.apply(*batch)
        for op in batch:
            if isinstance(op, UpsertNode):
                there[op.id] = (op.vectors or {})["e"]
            elif isinstance(op, DeleteNode):
                there.pop(op.id, None)
        unit = np.asarray(vector) / np.linalg.norm(vector)
        cosines = {each: float(np.dot(row, unit) / np.linalg.norm(row)) for each, row in there.items()}
        assert file.scores(*vector) == pytest.approx(cosines, abs=1e-5)
    file.close()

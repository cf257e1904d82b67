"""A folder of graphs through what happens to it: drops that were cut off, files that are lost or strange, its end."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from argosy.errors import GraphDeadlineError, SettingError, ShardUnavailableError, WrongOwnerError
from argosy.graph.facts import GraphRef
from argosy.graph.ops import Op
from argosy.shards.engine import Graph
from argosy.shards.engines.connection import open_file
from argosy.shards.engines.folder import Folder, remove_file
from argosy.shards.engines.sqlite import SqliteEngine
from tests.shards.engines import NO_SOURCE, NOW_MS, apply, facts_of, never, new_ref, open_sqlite, person


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("??/*"))


@pytest.fixture
def ref(tmp_path: Path) -> GraphRef:
    """A graph with a node, in a folder that is closed again."""
    engine = open_sqlite(tmp_path)
    ref = new_ref()
    engine.create(ref)
    apply(engine, ref, person("ada"))
    engine.close()
    return ref


def test_a_drop_that_was_cut_off_is_finished_when_the_folder_is_opened(tmp_path: Path, ref: GraphRef) -> None:
    folder = Folder(tmp_path)
    folder.drop(ref, folder.path_of(ref))
    folder.close()  # before the file is removed

    engine = open_sqlite(tmp_path)

    assert (engine.list(never), files(tmp_path)) == ([], [])
    with pytest.raises(WrongOwnerError):
        engine.create(ref)
    engine.close()


def test_what_was_being_made_is_removed_when_the_folder_is_opened(tmp_path: Path, ref: GraphRef) -> None:
    (tmp_path / files(tmp_path)[0][:2] / "unfinished.new").write_bytes(b"some")

    engine = open_sqlite(tmp_path)

    assert len(files(tmp_path)) == 1
    engine.close()


def test_a_graph_whose_file_is_lost_is_not_made_by_a_write(tmp_path: Path, ref: GraphRef) -> None:
    next(tmp_path.glob("??/*.db")).unlink()
    engine = open_sqlite(tmp_path)

    with pytest.raises(WrongOwnerError):
        apply(engine, ref, person("bob"))
    assert files(tmp_path) == []
    engine.close()


def test_a_folder_that_lost_its_name_is_another_one_until_it_is_given_back(tmp_path: Path, ref: GraphRef) -> None:
    engine = open_sqlite(tmp_path)
    member_id = engine.member_id
    engine.close()
    remove_file(tmp_path / "folder.db")
    engine = open_sqlite(tmp_path)
    other_id = engine.member_id
    engine.close()
    connection = apsw.Connection(str(tmp_path / "folder.db"))
    connection.execute(f"UPDATE member SET member_id = x'{member_id.hex}'")  # noqa: S608 (as docs/operate.md has it)
    connection.close()
    engine = open_sqlite(tmp_path)

    assert other_id != member_id == engine.member_id
    assert apply(engine, ref, person("bob")).version > 0
    engine.close()


@pytest.mark.parametrize("text", [b"", b"not a database" * 1_000])
def test_a_strange_file_concerns_its_graph_alone(tmp_path: Path, ref: GraphRef, text: bytes) -> None:
    next(tmp_path.glob("??/*.db")).write_bytes(text)
    engine = open_sqlite(tmp_path)
    other = new_ref(graph="other")
    engine.create(other)

    with pytest.raises(ShardUnavailableError):
        engine.graph(ref)
    assert apply(engine, other, person("ada")).version == 1
    assert [name.graph for name, _ in engine.list(never)] == ["other"]
    engine.close()


@pytest.mark.parametrize("text", [b"", b"not a database" * 1_000])
def test_a_graph_with_a_strange_file_can_be_dropped_and_made_again(tmp_path: Path, ref: GraphRef, text: bytes) -> None:
    next(tmp_path.glob("??/*.db")).write_bytes(text)
    engine = open_sqlite(tmp_path)
    with pytest.raises(ShardUnavailableError):
        engine.graph(ref)

    engine.drop(ref)
    engine.drop(ref)

    with pytest.raises(WrongOwnerError):
        engine.create(ref)
    engine.create(again := new_ref())
    assert apply(engine, again, person("bob")).version == 1
    assert engine.open_count == 1
    engine.close()


def test_a_list_stops_when_it_has_to(tmp_path: Path, ref: GraphRef) -> None:
    engine = open_sqlite(tmp_path)
    engine.create(new_ref(graph="other"))
    asked = iter([False])

    with pytest.raises(GraphDeadlineError):
        engine.list(lambda: next(asked, True))
    engine.close()


def test_a_file_that_cannot_be_read_for_now_is_not_dropped(tmp_path: Path, ref: GraphRef) -> None:
    path = next(tmp_path.glob("??/*.db"))
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    engine = open_sqlite(tmp_path)

    with pytest.raises(ShardUnavailableError, match="newer version"):
        engine.drop(ref)

    assert path.exists()
    engine.close()


def test_files_of_a_newer_version_are_refused(tmp_path: Path, ref: GraphRef) -> None:
    for path in (tmp_path / "folder.db", next(tmp_path.glob("??/*.db"))):
        connection = apsw.Connection(str(path))
        connection.pragma("user_version", 99)
        connection.close()

        with pytest.raises(ShardUnavailableError, match="newer version"):
            open_file(path)
    with pytest.raises(SettingError, match="newer version"):
        open_sqlite(tmp_path)


def test_a_folder_that_cannot_be_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingError, match="cannot be a shard's folder"):
        open_sqlite(tmp_path / "file")


def read_until_refused(graph: Graph, ref: GraphRef) -> None:
    while True:
        graph.get_nodes(ref, ["ada"])


def test_a_full_disk_refuses_writes_and_loses_none(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.shards.full_disk_child", str(tmp_path)]

    child = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    assert child.returncode == 0, child.stderr
    assert set(child.stdout.split()) <= {"GraphFileError", "OutcomeUnknownError"}


class Load:
    """A bulk load that waits between its batches."""

    def __init__(self, engine: SqliteEngine, ref: GraphRef) -> None:
        self._begun, self._go_on = threading.Event(), threading.Event()
        self.errors: list[Exception] = []
        graph = engine.graph(ref)

        def load() -> None:
            try:
                graph.bulk_load(ref, self._batches(), source=NO_SOURCE, now_ms=NOW_MS)
            except WrongOwnerError as error:
                self.errors.append(error)

        self._thread = threading.Thread(target=load)
        self._thread.start()
        self._begun.wait()

    def _batches(self) -> Iterator[Sequence[Op]]:
        yield [person("first")]
        self._begun.set()
        self._go_on.wait()
        yield [person("second")]

    def end(self) -> None:
        self._go_on.set()
        self._thread.join()


def test_a_drop_ends_a_bulk_load(tmp_path: Path, ref: GraphRef) -> None:
    engine = open_sqlite(tmp_path)
    graph = engine.graph(ref)
    load = Load(engine, ref)
    dropping = threading.Thread(target=engine.drop, args=(ref,))
    dropping.start()
    with pytest.raises(WrongOwnerError):
        read_until_refused(graph, ref)

    load.end()
    dropping.join()

    assert len(load.errors) == 1
    assert files(tmp_path) == []
    engine.close()


def test_a_search_that_needs_its_turn_to_write_waits_for_a_bulk_load_until_its_deadline(
    tmp_path: Path, ref: GraphRef
) -> None:
    engine = open_sqlite(tmp_path)
    load = Load(engine, ref)
    asked = iter([False] * 3)  # before the first look, before the index is to be made, after the first moment

    with pytest.raises(GraphDeadlineError):
        engine.graph(ref).search(ref, "ada", 10, lambda: next(asked, True))
    load.end()

    assert [hit.node.id for hit in engine.graph(ref).search(ref, "ada", 10, never)] == ["ada"]
    engine.close()


def test_an_engine_that_is_closed_finishes_writes_and_takes_no_others(tmp_path: Path, ref: GraphRef) -> None:
    engine = open_sqlite(tmp_path)
    graph = engine.graph(ref)
    load = Load(engine, ref)
    closing = threading.Thread(target=engine.close)
    closing.start()

    load.end()
    closing.join()

    with pytest.raises(ShardUnavailableError):
        graph.apply(ref, [person("late")], key=None, token=None, source=NO_SOURCE, now_ms=NOW_MS)
    again = open_sqlite(tmp_path)
    assert [node.id for node in facts_of(again, ref)[0]] == ["ada", "first", "second"]
    again.close()

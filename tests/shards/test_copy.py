"""A graph is copied while it is written and read, and the copy is the graph."""

import random
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from argosy.errors import CopyBrokenError, ShardBusyError, WrongOwnerError
from argosy.graph.copies import CopySums
from argosy.graph.facts import FencingToken, GraphRef, GraphState
from argosy.graph.ops import DeleteNode, Op, UpsertNode
from argosy.shards.engine import Engine
from tests.shards.copied import begin_copy, contents, send, sha256, take_all
from tests.shards.engines import BOUNDS, Opened, apply, facts_of, knows, new_ref, open_sqlite, person

COPY = uuid.UUID(int=9)
SESSION = uuid.UUID(int=7)


@pytest.fixture
def target(opened: Opened, tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path / "target")
    yield engine
    engine.close()


def random_ops(chance: random.Random) -> list[Op]:
    ids = [str(chance.randrange(300)) for _ in range(3)]
    people = [person(each, text="x" * chance.randrange(2_000)) for each in ids]
    if chance.random() < 0.2:
        return [DeleteNode(ids[0])] if chance.random() < 0.5 else [UpsertNode(ids[0], "N", vectors={"v": [1.0, 2.0]})]
    return [*people, knows(ids[0], ids[1])]


@contextmanager
def being_written(engine: Engine, ref: GraphRef, writers: int = 3) -> Iterator[None]:
    """Write to a graph at random, under keys and tokens, from several threads."""
    over = threading.Event()

    def write(number: int) -> None:
        chance = random.Random(number)
        count = 0
        with suppress(WrongOwnerError):  # it is sealed
            while not over.is_set():
                token = FencingToken(uuid.uuid5(SESSION, str(number)), 1, 1, count)
                apply(engine, ref, *random_ops(chance), key=f"{number}-{count}", token=token)
                count += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_base_and_tail_are_the_graph_that_is_written_meanwhile(engine: Engine, ref: GraphRef, target: Engine) -> None:
    apply(engine, ref, *[person(str(number), text="y" * 500) for number in range(1_000)])
    with being_written(engine, ref):
        copy = begin_copy(engine, ref)
        before = engine.graph(ref).stats().version
        while (engine.graph(ref).stats().version) < before + 200:
            send(copy, ref, target, COPY)
        sealed = engine.set_state(ref, GraphState.SEALED, 1)

    sums = send(copy, ref, target, COPY)
    landed = target.landings.land(ref, COPY, sums, sealed)

    assert landed.version == sealed.version
    copied = ref._replace(generation=2)
    target.landings.activate(ref, COPY, 2)
    assert contents(target, copied) == contents(engine, ref)
    copy.end()


def test_a_tail_that_is_cut_anywhere_ends_with_its_last_commit(engine: Engine, ref: GraphRef, target: Engine) -> None:
    copy = begin_copy(engine, ref)
    for number in range(30):
        apply(engine, ref, person(str(number), text="x" * 3_000))
    base = take_all(target, ref, COPY, copy.base(ref, 0))
    whole = b"".join(part.data for part in copy.tail(ref, 0))
    chance = random.Random(1)

    for number in range(10):
        copy_id, cut = uuid.uuid4(), chance.randrange(len(whole) + 1)
        other = new_ref(graph=f"cut-{number}")
        take_all(target, other, copy_id, copy.base(ref, 0))
        last = next(iter(copy.tail(ref, 0)))
        target.landings.take(other, copy_id, last._replace(data=whole[:cut]), is_tail=True)
        landed = target.landings.land(other, copy_id, CopySums(base.sha256, cut, sha256(whole[:cut])), None)
        target.landings.activate(other, copy_id, 1)

        assert landed.version == landed.node_count
        assert [node.id for node in facts_of(target, other)[0]] == sorted(map(str, range(landed.node_count)))
    copy.end()


def test_copies_at_the_same_time_have_one_base(engine: Engine, ref: GraphRef, target: Engine) -> None:
    apply(engine, ref, person("ada"))
    one = begin_copy(engine, ref)
    apply(engine, ref, person("bob"))
    other = begin_copy(engine, ref)

    one.end()
    apply(engine, ref, person("cy"))
    target.landings.land(ref, COPY, send(other, ref, target, COPY), engine.graph(ref).stats())
    target.landings.activate(ref, COPY, 2)

    assert contents(target, ref._replace(generation=2)) == contents(engine, ref)
    with pytest.raises(CopyBrokenError):
        one.base(ref, 0)
    other.end()


def test_a_copy_goes_on_from_where_it_was(engine: Engine, ref: GraphRef, target: Engine) -> None:
    apply(engine, ref, *[person(str(number), text="y" * 1_000) for number in range(3_000)])
    copy = begin_copy(engine, ref)
    first, *_ = copy.base(ref, 0)
    target.landings.take(ref, COPY, first, is_tail=False)

    rest = list(copy.base(ref, target.landings.received(ref, COPY).base_size_bytes))
    last = take_all(target, ref, COPY, rest)

    assert len(first.data) + sum(len(part.data) for part in rest) == last.size_bytes > len(first.data)
    assert target.landings.received(ref, COPY).is_whole
    copy.end()


def test_a_graph_that_is_written_to_beyond_a_bound_ends_its_copies(engine: Engine, ref: GraphRef) -> None:
    copy = begin_copy(engine, ref, wal_size_bytes_max=200_000)

    apply(engine, ref, person("ada", text="x" * 300_000))

    assert copy.has_ended
    with pytest.raises(CopyBrokenError, match="SHARD_COPY_WAL_SIZE_BYTES_MAX"):
        list(copy.tail(ref, 0))
    apply(engine, ref, person("bob"))
    copy.end()
    again = begin_copy(engine, ref)
    assert len(list(again.base(ref, 0))) > 0
    again.end()


def test_what_was_written_meanwhile_goes_into_the_file_when_the_copy_ends(engine: Engine, ref: GraphRef) -> None:
    copy = begin_copy(engine, ref)
    before = engine.graph(ref).stats().size_bytes
    for number in range(20):
        apply(engine, ref, person(str(number), text="x" * 300_000))
    during = engine.graph(ref).stats()

    copy.end()

    assert during.size_bytes == before
    assert during.wal_size_bytes > 6_000_000
    assert engine.graph(ref).stats().size_bytes > 6_000_000


def test_a_copy_outlives_the_closing_of_its_graph(tmp_path: Path, target: Engine) -> None:
    engine = open_sqlite(tmp_path / "shard", BOUNDS._replace(graphs=1))
    ref, others = new_ref(), [new_ref(graph=f"other-{number}") for number in range(3)]
    for each in (ref, *others):
        engine.create(each)
    copy = begin_copy(engine, ref)
    for number in range(30):
        apply(engine, ref, person(str(number), text="x" * 100_000))
        apply(engine, others[number % 3], person("somebody"))
    assert engine.open_count == 1

    target.landings.land(ref, COPY, send(copy, ref, target, COPY), engine.graph(ref).stats())
    target.landings.activate(ref, COPY, 2)

    assert contents(target, ref._replace(generation=2)) == contents(engine, ref)
    copy.end()
    engine.close()


def test_a_copy_leaves_the_locks_on_the_file_as_they_are(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "shard")
    ref = new_ref()
    engine.create(ref)
    apply(engine, ref, person("ada"))
    copy = begin_copy(engine, ref)
    list(copy.base(ref, 0))
    list(copy.tail(ref, 0))
    copy.end()

    (path,) = (tmp_path / "shard").glob("??/*.db")
    # Only a process that has the file to itself can do this.
    script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode=delete'))"
    other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)

    assert "database is locked" in other.stderr
    assert apply(engine, ref, person("bob")).version == 2
    engine.close()
    with sqlite3.connect(path) as alone:
        assert alone.execute("PRAGMA journal_mode=delete").fetchone() == ("delete",)


def test_a_copy_waits_for_reads_that_are_in_its_way(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    export = engine.graph(ref).export(ref)
    next(export)
    apply(engine, ref, person("bob"))

    with pytest.raises(ShardBusyError):
        begin_copy(engine, ref)

    list(export)
    begin_copy(engine, ref).end()


def test_a_graph_that_is_dropped_ends_its_copies(engine: Engine, ref: GraphRef, tmp_path: Path) -> None:
    copy = begin_copy(engine, ref)
    parts = copy.base(ref, 0)

    engine.drop(ref)

    with pytest.raises(CopyBrokenError):
        list(parts)
    with pytest.raises(WrongOwnerError):
        copy.tail(ref, 0)
    copy.end()
    assert list((tmp_path / "shard").glob("??/*")) == []


def test_nothing_is_copied_of_a_graph_that_was_moved(engine: Engine, ref: GraphRef) -> None:
    copy = begin_copy(engine, ref)
    engine.set_state(ref, GraphState.RETIRED, 1)

    with pytest.raises(WrongOwnerError):
        copy.tail(ref, 0)
    with pytest.raises(WrongOwnerError):
        begin_copy(engine, ref)
    copy.end()

"""A shard's process that is killed at any moment, under eight writers: nothing that it acknowledged is missing, nothing
is applied twice, a search finds what is there, and the folder opens.
"""

import json
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from argosy.errors import WrongOwnerError
from argosy.graph.facts import GraphRef
from argosy.shards.engines.sqlite import SqliteEngine
from tests.shards.engines import facts_of, never, open_sqlite
from tests.shards.writing_child import LOAD_SIZE, loaded, node_id, short_lived

WRITERS = 8


class Acknowledged:
    """What children said. batches: the versions of each writer's."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = [[] for _ in range(WRITERS)]
        self.made = -1
        self.dropped = -1
        self.loaded = -1

    def take(self, line: str) -> None:
        match line.split():
            case ["batch", writer, number, version]:
                of_writer = self.batches[int(writer)]
                assert int(number) == len(of_writer)
                of_writer.append(int(version))
            case ["made", number]:
                self.made = int(number)
            case ["dropped", number]:
                self.dropped = int(number)
            case ["loaded", number]:
                self.loaded = int(number)

    @property
    def count(self) -> int:
        return sum(map(len, self.batches))


def whole_lines(child: subprocess.Popen[str]) -> Iterator[str]:
    assert child.stdout is not None
    return (line for line in child.stdout if line.endswith("\n"))


def write_and_be_killed(root: Path, ref: GraphRef, acknowledged: Acknowledged, after: int) -> None:
    """Have a child write, and kill it after so many lines."""
    firsts = [str(len(of_writer)) for of_writer in acknowledged.batches]
    others = [str(acknowledged.dropped + 1), str(acknowledged.loaded + 1)]
    command = [sys.executable, "-m", "tests.shards.writing_child", str(root), str(ref.incarnation), *others, *firsts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        try:
            for line in islice(whole_lines(child), after):
                acknowledged.take(line)
        finally:
            child.kill()
        for line in whole_lines(child):
            acknowledged.take(line)


def check(engine: SqliteEngine, ref: GraphRef, acknowledged: Acknowledged) -> None:
    nodes, edges = facts_of(engine, ref)
    versions = {node.id: node.version for node in nodes}
    for writer, of_writer in enumerate(acknowledged.batches):
        assert [versions[node_id(writer, number)] for number in range(len(of_writer))] == of_writer
        assert node_id(writer, len(of_writer) + 1) not in versions
    found = engine.graph(ref).search(ref, "N", len(nodes) + 1, never)
    assert sorted(hit.node.id for hit in found) == sorted(versions)
    stats = engine.graph(ref).stats()
    assert sorted(versions.values()) == list(range(1, stats.version + 1))
    assert (stats.node_count, stats.edge_count) == (len(nodes), len(edges))
    for number in range(acknowledged.dropped + 1):
        with pytest.raises(WrongOwnerError):
            engine.create(short_lived(ref.incarnation, number))
    check_loads(engine, loaded(ref.incarnation), acknowledged.loaded)
    here = {stats.incarnation for name, stats in engine.list(never) if name.graph == "short-lived"}
    assert here <= {short_lived(ref.incarnation, acknowledged.dropped + 1).incarnation}


def check_loads(engine: SqliteEngine, ref: GraphRef, acknowledged: int) -> None:
    """Each load is there whole, or not at all if it was not acknowledged."""
    engine.create(ref)
    nodes, _ = facts_of(engine, ref)
    sizes = Counter(json.loads(node.props)["load"] for node in nodes)
    assert set(sizes.values()) <= {LOAD_SIZE}
    assert set(range(acknowledged + 1)) <= sizes.keys() <= set(range(acknowledged + 2))


def go(root: Path, rounds: int) -> None:
    ref = GraphRef("acme", "people", uuid.uuid4(), 1)
    engine = open_sqlite(root)
    engine.create(ref)
    engine.close()
    acknowledged = Acknowledged()
    for _ in range(rounds):
        before = acknowledged.count
        write_and_be_killed(root, ref, acknowledged, after=random.randint(20, 200))
        engine = open_sqlite(root)
        check(engine, ref, acknowledged)
        engine.close()
        assert acknowledged.count > before


def test_what_was_acknowledged_is_there_once(tmp_path: Path) -> None:
    go(tmp_path, rounds=3)


@pytest.mark.slow
def test_what_was_acknowledged_is_there_once_after_thirty_kills(tmp_path: Path) -> None:
    go(tmp_path, rounds=30)

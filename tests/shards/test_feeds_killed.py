"""A shard's process that is killed at any moment while several senders compete for the same feeds: each line that was
answered for is done, each line is done once, and those of a feed up to its next one, and no others.
"""

import random
import subprocess
import sys
import uuid
from itertools import islice
from pathlib import Path

import pytest

from argosy.errors import OutcomeUnknownError
from argosy.graph.facts import GraphRef
from argosy.shards.engines.sqlite import SqliteEngine
from tests.shards.asked import ids_asked
from tests.shards.engines import NOW_MS, REJECTS_MAX, facts_of, never, new_ref, open_sqlite
from tests.shards.feeding import people
from tests.shards.feeding_child import FEEDS, Chains, batch_of, graph_of, node_id
from tests.shards.processes import ShardProcess
from tests.shards.shards import S
from tests.shards.test_engine_killed import whole_lines


def send_and_be_killed(root: Path, ref: GraphRef, answered: dict[str, int], after: int) -> None:
    """Have a child send, and kill it after so many answers. answered: by feed, the number of the line it waits for."""
    command = [sys.executable, "-m", "tests.shards.feeding_child", str(root), str(ref.incarnation)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        lines = whole_lines(child)
        try:
            told = list(islice(lines, after))
        finally:
            child.kill()
        for line in (*told, *lines):
            _, feed, number = line.split()
            answered[feed] = max(answered[feed], int(number))


def check(engine: SqliteEngine, ref: GraphRef, answered: dict[str, int]) -> None:
    nodes, edges, lines = [], [], 0
    for feed, state in zip(FEEDS, engine.graph(ref).feeds(ref, FEEDS), strict=True):
        done = state.next - 1 if state is not None else 0
        assert done + 1 >= answered[feed]
        lines += done
        by_kind: dict[int, list[int]] = {kind: list(range(kind or 10, done + 1, 10)) for kind in range(10)}
        worthless, links, blank = by_kind.pop(0), by_kind.pop(5), by_kind.pop(7)
        nodes += [node_id(feed, number) for numbers in by_kind.values() for number in numbers]
        edges += [(node_id(feed, number - 1), node_id(feed, number - 2)) for number in links]
        if state is not None:
            assert state.chain == Chains(feed).at(done)
            assert (state.applied, state.rejected) == (done - len(worthless) - len(blank), len(worthless))
        asked = engine.graph(ref).ingest(ref, batch_of(feed, Chains(feed), 1, 0), NOW_MS, never).fed
        assert [each.line for each in asked.refused] == worthless[:REJECTS_MAX]
    found_nodes, found_edges = facts_of(engine, ref)
    assert sorted(node.id for node in found_nodes) == sorted(nodes)
    assert sorted((edge.src, edge.dst) for edge in found_edges) == sorted(edges)
    stats = engine.graph(ref).stats()
    assert (stats.node_count, stats.edge_count) == (len(nodes), len(edges))
    assert {node.version for node in found_nodes} <= set(range(1, stats.version + 1))
    assert len(engine.graph(ref).search(ref, "n", len(nodes) + 1, never)) == len(nodes)


def go(root: Path, rounds: int) -> None:
    ref = graph_of(uuid.uuid4())
    engine = open_sqlite(root)
    engine.create(ref)
    engine.close()
    answered = dict.fromkeys(FEEDS, 1)
    for _ in range(rounds):
        before = sum(answered.values())
        send_and_be_killed(root, ref, answered, after=random.randint(20, 120))
        engine = open_sqlite(root)
        check(engine, ref, answered)
        engine.close()
        assert sum(answered.values()) > before


def test_each_line_that_was_answered_for_is_done_once(tmp_path: Path) -> None:
    go(tmp_path, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_line_that_was_answered_for_is_done_once_after_thirty_kills(tmp_path: Path) -> None:
    go(tmp_path, rounds=30)


@pytest.mark.slow
async def test_a_shard_that_ends_before_it_answers_has_done_the_lines_and_says_so_when_asked_again(
    tmp_path: Path,
) -> None:
    shard, lines = ShardProcess(tmp_path / "data"), people("ada", "bob", "cy")
    shard.start(ARGOSY_CRASH_AT="feed_committed:2")
    async with shard.called() as transport:
        ref = new_ref()
        await transport.create(ref, deadline_s=S)
        await transport.ingest(ref, lines.batch(1, 1), deadline_s=S)
        with pytest.raises(OutcomeUnknownError):
            await transport.ingest(ref, lines.batch(2, 2), deadline_s=S)
        shard.start()

        for _ in range(2):
            assert (await transport.ingest(ref, lines.batch(2, 2), deadline_s=S)).state == lines.state(2)
        assert (await transport.ingest(ref, lines.batch(3, 3), deadline_s=S)).version == 3
        assert await ids_asked(transport, ref) == ["ada", "bob", "cy"]
    shard.bury()

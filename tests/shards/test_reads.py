"""Reads of a shard: quick ones on the event loop, others in bounded threads, each within its deadline."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import GraphDeadlineError, GraphTooLargeError, ShardBusyError
from argosy.graph.facts import NO_SOURCE, Direction, GraphRef, Neighborhood, Node, Summary
from argosy.shards.engine import Interrupt
from argosy.shards.engines import neighborhood, reader
from argosy.shards.engines.sqlite_graph import SqliteGraph
from argosy.shards.shard import Shard
from tests.shards.engines import Opened, knows, new_ref, person
from tests.shards.shards import S, apply, ids_of, shard_of


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Shard]:
    async with shard_of(opened(tmp_path), shard_read_threads=1, shard_read_queue_max=4) as shard:
        yield shard


@pytest.fixture
async def ref(shard: Shard) -> GraphRef:
    """A star: hub and a hundred others."""
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    others = [f"p{number:02}" for number in range(100)]
    await apply(shard, ref, *map(person, ["hub", *others]), *(knows("hub", other) for other in others))
    return ref


class Stuck:
    """Summaries go on until they are told to stop, or for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_deaf: bool = False) -> None:
        self.begun, self.ended, self.let_go = threading.Event(), threading.Event(), threading.Event()

        def summary(_: SqliteGraph, ref: GraphRef, interrupt: Interrupt) -> Summary:
            self.begun.set()
            while not self.let_go.wait(0.005) and (is_deaf or not interrupt()):
                pass
            self.ended.set()
            raise GraphDeadlineError

        monkeypatch.setattr(SqliteGraph, "summary", summary)


async def test_several_nodes_that_are_large_are_read_in_a_thread(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = [f"large{number}" for number in range(3)]
    await apply(shard, ref, *(person(each, text="x" * 500_000) for each in large))
    read, threads = SqliteGraph.get_nodes, []

    def noted(*arguments: Any) -> list[Node | None]:
        threads.append(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(SqliteGraph, "get_nodes", noted)

    few = await shard.get_nodes(ref, ["p01", "none", "large0", "hub", "large0"], deadline_s=S)
    in_loop, threads = threads, []
    many = await shard.get_nodes(ref, [*large, "none"], deadline_s=S)

    assert [node and node.id for node in few] == ["p01", None, "large0", "hub", "large0"]
    assert in_loop == [threading.main_thread()]
    assert [node and node.id for node in many] == [*large, None]
    assert threads.count(threading.main_thread()) == 1, "what is too large for the loop is found out there once"
    assert threads[-1] is not threading.main_thread()


async def test_a_neighborhood_of_large_nodes_asks_whether_to_stop(opened: Opened, tmp_path: Path) -> None:
    engine, ref = opened(tmp_path), new_ref()
    engine.create(ref)
    nodes = [person(f"n{number}", text="x" * 500_000) for number in range(4)]
    engine.graph(ref).apply(ref, nodes, key=None, token=None, source=NO_SOURCE, now_ms=0)
    asked = iter([False, True])

    with pytest.raises(GraphDeadlineError):
        engine.graph(ref).neighbors(
            ref,
            [node.id for node in nodes],
            types=(),
            direction=Direction.BOTH,
            depth=1,
            limit=9,
            interrupt=asked.__next__,
        )


async def test_a_large_neighborhood_is_read_in_a_thread(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, threads = SqliteGraph.neighbors, []

    def slow(graph: SqliteGraph, *arguments: Any, interrupt: Interrupt, **named: Any) -> Neighborhood:
        threads.append(threading.current_thread().name)
        while threading.current_thread() is threading.main_thread():
            if interrupt():
                raise GraphDeadlineError
        return read(graph, *arguments, interrupt=interrupt, **named)

    monkeypatch.setattr(SqliteGraph, "neighbors", slow)

    around = await shard.neighbors(ref, ["hub"], limit=1_000, deadline_s=S)

    assert len(around.nodes) == 101
    assert [name.partition("_")[0] for name in threads] == ["MainThread", "shard-read"]


async def test_a_neighborhood_is_cut_at_what_a_read_may_hold(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apply(shard, ref, *(person(f"p{number:02}", text="x" * 1_000) for number in range(100)))
    monkeypatch.setattr(neighborhood, "SIZE_BYTES_MAX", 20_000)
    monkeypatch.setattr(reader, "SIZE_BYTES_MAX", 50_000)

    around = await shard.neighbors(ref, ["hub"], limit=1_000, deadline_s=S)

    assert around.is_cut
    assert 15 < len(around.nodes) < 21
    with pytest.raises(GraphTooLargeError):
        await shard.search(ref, "Person", limit=1_000, deadline_s=S)


async def test_a_read_stops_at_its_deadline(shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(monkeypatch)

    with pytest.raises(GraphDeadlineError):
        await shard.summary(ref, deadline_s=0.05)

    assert await asyncio.to_thread(stuck.ended.wait, S)
    assert len(await ids_of(shard, ref)) == 101


async def test_a_read_stops_when_its_caller_has_gone(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(monkeypatch)
    asked = asyncio.create_task(shard.summary(ref, deadline_s=60.0))
    await asyncio.to_thread(stuck.begun.wait, S)

    asked.cancel()

    assert await asyncio.to_thread(stuck.ended.wait, S)


async def test_a_call_ends_at_its_deadline_whatever_its_thread_does(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(monkeypatch, is_deaf=True)
    begun_s = time.monotonic()

    with pytest.raises(GraphDeadlineError):
        await shard.summary(ref, deadline_s=0.1)
    with pytest.raises(GraphDeadlineError):  # it waits for the one thread
        await shard.scan(ref, limit=1, deadline_s=0.1)

    assert time.monotonic() - begun_s < 2
    assert await shard.get_nodes(ref, ["hub"], deadline_s=S) != [None]
    stuck.let_go.set()
    assert len(await ids_of(shard, ref)) == 101


async def test_one_read_too_many_is_refused_at_once(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(monkeypatch)
    asked = [asyncio.create_task(shard.summary(ref, deadline_s=60.0)) for _ in range(3)]
    await asyncio.to_thread(stuck.begun.wait, S)

    with pytest.raises(ShardBusyError):
        await shard.summary(ref, deadline_s=S)

    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert await asyncio.to_thread(stuck.ended.wait, S)
    assert len(await ids_of(shard, ref)) == 101


async def test_a_read_for_which_the_system_has_no_thread_holds_up_no_other(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with shard_of(opened(tmp_path), shard_read_threads=1) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            with pytest.raises(RuntimeError):
                await shard.stats(ref, deadline_s=S)

        assert (await shard.stats(ref, deadline_s=S)).node_count == 0


async def test_a_shard_closes_while_reads_are_under_way(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(monkeypatch)
    async with shard_of(opened(tmp_path)) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        asked = asyncio.create_task(shard.summary(ref, deadline_s=60.0))
        await asyncio.to_thread(stuck.begun.wait, S)

    assert stuck.ended.is_set()
    with pytest.raises(GraphDeadlineError):
        await asked


@pytest.mark.parametrize("deadline_s", [float("inf"), float("nan"), 1e300])
async def test_a_deadline_without_an_end_has_one(shard: Shard, ref: GraphRef, deadline_s: float) -> None:
    assert (await shard.stats(ref, deadline_s=deadline_s)).node_count == 101


@pytest.mark.parametrize("deadline_s", [0.0, -1.0])
async def test_a_deadline_that_is_over_ends_the_call(shard: Shard, ref: GraphRef, deadline_s: float) -> None:
    with pytest.raises(GraphDeadlineError):
        await shard.stats(ref, deadline_s=deadline_s)
    with pytest.raises(GraphDeadlineError):
        await apply(shard, ref, person("late"), deadline_s=deadline_s)
    assert await shard.get_nodes(ref, ["late"], deadline_s=S) == [None]

"""Feeds among other writes of their graph: who waits for whom, for how long, and in which thread."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.graph.facts import NO_SOURCE, Applied, GraphRef, GraphState
from argosy.graph.feeds import FeedBatch, FeedState
from argosy.graph.ops import Op
from argosy.shards.engine import Ingested, Interrupt
from argosy.shards.engines.sqlite_graph import SqliteGraph
from argosy.shards.shard import Shard
from tests.shards.asked import ids_asked
from tests.shards.engines import Opened, new_ref, person
from tests.shards.feeding import Upload, people
from tests.shards.shards import S, apply, shard_of

LINES = people("ada", "bob", "cy")
OTHERS = people("dan", "eve", feed="other")


class HeldFeeds:
    """Holds feeds up before their first line. makes_way: what the last one was told; nice: of its thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.makes_way: Interrupt = lambda: False
        self.nice = 0
        ingest = SqliteGraph.ingest

        def held(graph: SqliteGraph, ref: GraphRef, batch: FeedBatch, now_ms: int, interrupt: Interrupt) -> Ingested:
            self.makes_way, self.nice = interrupt, os.getpriority(os.PRIO_PROCESS, 0)
            self.begun.release()
            self.let_go.wait(S)
            return ingest(graph, ref, batch, now_ms, interrupt)

        monkeypatch.setattr(SqliteGraph, "ingest", held)

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=S)

    async def until_told(self) -> None:
        until_s = time.monotonic() + S
        while not self.makes_way():
            assert time.monotonic() < until_s
            await asyncio.sleep(0.001)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldFeeds:
    return HeldFeeds(monkeypatch)


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Shard]:
    async with shard_of(opened(tmp_path), shard_feed_yield_s=0.001) as shard:
        yield shard


@pytest.fixture
async def ref(shard: Shard) -> GraphRef:
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    return ref


async def feed(shard: Shard, ref: GraphRef, lines: Upload, first: int = 1) -> FeedState:
    return (await shard.ingest(ref, lines.batch(first, len(lines.lines)), deadline_s=S)).state


async def write(shard: Shard, ref: GraphRef) -> Applied:
    return await apply(shard, ref, person("zoe"))


async def seal(shard: Shard, ref: GraphRef) -> object:
    return await shard.copies.set_state(ref, GraphState.SEALED, ref.generation, deadline_s=S)


async def query(shard: Shard, ref: GraphRef) -> object:
    return await ids_asked(shard, ref)


@pytest.mark.parametrize("other", [write, seal, query])
async def test_a_feed_makes_way_for_whoever_waits_for_it(
    shard: Shard, ref: GraphRef, held: HeldFeeds, other: Callable[[Shard, GraphRef], Awaitable[object]]
) -> None:
    fed = asyncio.create_task(feed(shard, ref, LINES))
    await held.until_begun()
    waiting = asyncio.ensure_future(other(shard, ref))

    await held.until_told()
    held.let_go.set()

    assert await fed == LINES.state(1)
    await waiting


async def test_what_a_feed_left_comes_after_those_who_waited(shard: Shard, ref: GraphRef, held: HeldFeeds) -> None:
    fed = asyncio.create_task(feed(shard, ref, LINES))
    await held.until_begun()
    writing = asyncio.create_task(write(shard, ref))
    await held.until_told()
    held.let_go.set()
    assert await fed == LINES.state(1)

    assert (await writing).version == 2
    assert await feed(shard, ref, LINES, 2) == LINES.state(3)
    assert (await shard.stats(ref, deadline_s=S)).version == 3


async def test_a_feed_makes_way_for_nobody_where_nobody_waits(shard: Shard, ref: GraphRef, held: HeldFeeds) -> None:
    """Nor for other feeds of the graph, nor for those who write to another one."""
    other = new_ref(graph="other")
    await shard.create(other, deadline_s=S)
    feeds = [asyncio.create_task(feed(shard, ref, LINES))]
    await held.until_begun()
    feeds.append(asyncio.create_task(feed(shard, ref, OTHERS)))
    await write(shard, other)
    await asyncio.sleep(0.01)  # longer than it need make way for nobody

    assert not held.makes_way()

    held.let_go.set()
    assert await asyncio.gather(*feeds) == [LINES.state(3), OTHERS.state(2)]


async def test_a_feed_has_its_time_before_it_makes_way(opened: Opened, tmp_path: Path, held: HeldFeeds) -> None:
    async with shard_of(opened(tmp_path), shard_feed_yield_s=3_600) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        fed = asyncio.create_task(feed(shard, ref, LINES))
        await held.until_begun()
        writing = asyncio.create_task(write(shard, ref))
        await asyncio.sleep(0)

        held.let_go.set()

        assert await fed == LINES.state(3)
        assert (await writing).version == 2


async def test_of_many_feeds_one_comes_between_two_groups_of_writes(
    shard: Shard, ref: GraphRef, held: HeldFeeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes waits for one feed, and a feed for one group, in whichever order they came."""
    order: list[str] = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*about: Any) -> Any:
            order.append(name)
            return real(*about)

        return called

    monkeypatch.setattr(SqliteGraph, "ingest", noted("feed", SqliteGraph.ingest))
    monkeypatch.setattr(SqliteGraph, "apply_many", noted("group", SqliteGraph.apply_many))
    uploads = [people(f"p{number}", feed=f"feed {number}") for number in range(4)]
    feeds = [asyncio.create_task(feed(shard, ref, uploads[0]))]
    await held.until_begun()
    feeds += [asyncio.create_task(feed(shard, ref, each)) for each in uploads[1:]]
    await asyncio.sleep(0)

    async def write_on() -> None:
        for _ in range(3):
            await write(shard, ref)

    writing = asyncio.create_task(write_on())
    await held.until_told()
    held.let_go.set()
    await asyncio.gather(writing, *feeds)

    assert order == ["feed", "group"] * 3 + ["feed"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only whole processes have a priority")
async def test_the_thread_of_a_feed_yields_to_others_on_the_machine(
    opened: Opened, tmp_path: Path, held: HeldFeeds
) -> None:
    held.let_go.set()
    before = os.getpriority(os.PRIO_PROCESS, 0)
    async with shard_of(opened(tmp_path), shard_feed_nice=7) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        await feed(shard, ref, LINES)

        assert held.nice == min(19, before + 7)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


async def test_a_feed_that_waits_for_a_thread_holds_up_nobody_who_writes(
    shard: Shard, ref: GraphRef, held: HeldFeeds
) -> None:
    other = new_ref(graph="other")
    await shard.create(other, deadline_s=S)
    feeds = [asyncio.create_task(feed(shard, ref, LINES))]
    await held.until_begun()
    feeds.append(asyncio.create_task(feed(shard, other, LINES)))
    await asyncio.sleep(0)

    assert (await write(shard, other)).version == 1

    held.let_go.set()
    assert await asyncio.gather(*feeds) == [LINES.state(3)] * 2


async def test_a_feed_that_waits_for_a_load_of_its_graph_holds_up_no_other_feed(shard: Shard, ref: GraphRef) -> None:
    other = new_ref(graph="other")
    await shard.create(other, deadline_s=S)
    loading, loaded = asyncio.Event(), asyncio.Event()

    async def parts() -> AsyncIterator[list[Op]]:
        yield [person("max")]
        loading.set()
        await loaded.wait()

    load = asyncio.create_task(shard.bulk_load(ref, parts(), source=NO_SOURCE, deadline_s=S))
    await loading.wait()
    waiting = asyncio.create_task(feed(shard, ref, LINES))
    await asyncio.sleep(0)

    assert await feed(shard, other, LINES) == LINES.state(3)
    assert not waiting.done()

    loaded.set()
    await load
    assert await waiting == LINES.state(3)

"""Views of a shard that are asked at once: all they may take is bounded, and nobody is held up by another's."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from argosy.errors import ArgosyError, ShardBusyError, ShardUnavailableError, ViewLostError
from argosy.graph.facts import GraphRef
from argosy.shards.shard import Shard
from tests.shards.asked import ask, children, ids_asked, made, until_asked
from tests.shards.conditions import until
from tests.shards.engines import Opened, person
from tests.shards.shards import apply, shard_of
from tests.shards.views import ENDLESS

VIEW_BYTES = 268_435_456
TWO = {"shard_view_size_bytes_max": VIEW_BYTES, "shard_views_size_bytes_max": 2 * VIEW_BYTES}  # one for each tenant


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Shard]:
    async with shard_of(opened(tmp_path), **TWO) as shard:
        yield shard
    assert children() == []


def endless(shard: Shard, ref: GraphRef, deadline_s: float) -> asyncio.Task[list[object]]:
    return asyncio.create_task(ask(shard, ref, ENDLESS, deadline_s))


async def ended(*asked: asyncio.Task[list[object]]) -> None:
    for each in asked:
        each.cancel()
    await asyncio.wait(asked)


async def test_views_at_work_count_with_all_that_they_may_take(shard: Shard) -> None:
    first, second, third = [await made(shard, "people", tenant) for tenant in ("a", "b", "c")]
    await apply(shard, third, person("ada"))
    for ref in (third, first, second):
        await ids_asked(shard, ref)
    assert len(children()) == 3  # idle, they are small

    busy, left = endless(shard, first, 60.0), endless(shard, second, 4.0)
    await until_asked(2)
    await until(lambda: len(children()) == 2)  # the idle one has gone for them
    await ended(left)  # which the query has not: its view works on
    with pytest.raises(ShardBusyError, match="until the query's deadline"):
        await ids_asked(shard, third, deadline_s=0.2)
    assert len(children()) == 2

    assert await ids_asked(shard, third) == ["ada"]  # waits for the end of that query
    assert not busy.done()
    assert len(children()) == 2
    await ended(busy)


async def test_a_query_for_which_there_is_no_place_to_wait_is_told_of_which_there_are_too_few(
    opened: Opened, tmp_path: Path
) -> None:
    async with shard_of(opened(tmp_path), **TWO, shard_read_queue_max=0) as shard:
        busy, refused = [await made(shard, graph, "a") for graph in ("busy", "refused")]
        asked = endless(shard, busy, 8.0)
        await until_asked(1)

        with pytest.raises(ShardBusyError, match="SHARD_READ_QUEUE_MAX"):
            await ids_asked(shard, refused)

        await ended(asked)


async def test_a_tenant_that_asks_all_its_graphs_at_once_holds_up_no_other_one(shard: Shard) -> None:
    flood = [endless(shard, await made(shard, f"graph-{number}", "flood"), 8.0) for number in range(4)]
    await until_asked(1)
    other = await made(shard, "people", "other")
    await apply(shard, other, person("ada"))

    for _ in range(3):
        assert await ids_asked(shard, other) == ["ada"]
    assert not any(each.done() for each in flood)
    await ended(*flood)


async def test_a_build_that_takes_long_holds_up_no_build_of_another_tenant(shard: Shard) -> None:
    slow, other = await made(shard, "people", "slow"), await made(shard, "people", "other")
    asked = asyncio.create_task(ids_asked(shard, slow))
    await until(lambda: len(children()) == 1)
    (child,) = children()
    os.kill(child, signal.SIGSTOP)

    assert await ids_asked(shard, other) == []
    assert not asked.done()
    os.kill(child, signal.SIGCONT)
    assert await asked == []


async def test_a_graph_that_is_asked_all_the_time_lets_another_one_of_its_tenant_be_asked(shard: Shard) -> None:
    asked, other = await made(shard, "asked"), await made(shard, "other")
    answered = asyncio.Event()

    async def keep_asking(after_s: float) -> None:
        await asyncio.sleep(after_s)
        while not answered.is_set():
            with suppress(ArgosyError):
                await ask(shard, asked, ENDLESS, deadline_s=0.5)

    asking = [asyncio.create_task(keep_asking(after_s)) for after_s in (0.0, 0.25)]
    await until_asked(2)

    try:
        assert await ids_asked(shard, other) == []
    finally:
        answered.set()
        await asyncio.wait(asking)


async def test_what_waits_when_the_shard_ends_waits_no_longer(opened: Opened, tmp_path: Path) -> None:
    async with shard_of(opened(tmp_path), **TWO) as shard:
        busy_ref = await made(shard, "busy")
        busy = endless(shard, busy_ref, 60.0)
        await until_asked(1)
        waiting = [endless(shard, await made(shard, f"graph-{number}"), 60.0) for number in range(2)]
        waiting.append(endless(shard, busy_ref, 60.0))
    async with asyncio.timeout(1.0):
        outcomes = await asyncio.gather(busy, *waiting, return_exceptions=True)
    assert all(isinstance(each, ShardUnavailableError | ViewLostError) for each in outcomes)

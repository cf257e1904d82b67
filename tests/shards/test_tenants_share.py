"""One tenant's requests do not hold what a shard has few of: others find a thread, and a stream."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import GraphDeadlineError, ShardBusyError
from argosy.graph.facts import GraphRef, Hit
from argosy.shards.engine import Batch, Interrupt
from argosy.shards.engines.sqlite import SqliteEngine
from argosy.shards.engines.sqlite_graph import SqliteGraph
from argosy.shards.shard import Shard
from tests.shards.engines import Opened, new_ref, person
from tests.shards.shards import S, apply, sent, shard_of

CALM, FLOODING, FLOODING_TOO = "calm", "flooding", "flooding-too"


class Searches:
    """Searches of a shard's tenants. Those of tenants that flood it last until one of them is let go."""

    def __init__(self, shard: Shard, refs: dict[str, GraphRef], monkeypatch: pytest.MonkeyPatch) -> None:
        self._shard = shard
        self._refs = refs
        self.begun: list[str] = []  # whose, in order
        self.let_go = threading.Semaphore(0)
        search = SqliteGraph.search

        def slow(graph: SqliteGraph, ref: GraphRef, text: str, limit: int, interrupt: Interrupt) -> list[Hit]:
            self.begun.append(ref.tenant)
            while ref.tenant != CALM and not self.let_go.acquire(timeout=0.005):
                if interrupt():
                    raise GraphDeadlineError
            return search(graph, ref, text, limit, interrupt)

        monkeypatch.setattr(SqliteGraph, "search", slow)

    def ask(self, *tenants: str) -> list[asyncio.Task[list[Hit]]]:
        return [asyncio.create_task(self._ask(each)) for each in tenants]

    async def until_begun(self, count: int) -> None:
        async with asyncio.timeout(S):
            while len(self.begun) < count:  # noqa: ASYNC110 (threads begin them)
                await asyncio.sleep(0.005)

    async def _ask(self, tenant: str) -> list[Hit]:
        return await self._shard.search(self._refs[tenant], "Person", limit=10, deadline_s=60.0)


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Shard]:
    async with shard_of(opened(tmp_path), shard_read_threads=2, shard_streams_max=4) as shard:
        yield shard


@pytest.fixture
async def refs(shard: Shard) -> dict[str, GraphRef]:
    """A graph of each tenant."""
    refs = {tenant: new_ref(tenant) for tenant in (CALM, FLOODING, FLOODING_TOO)}
    for ref in refs.values():
        await shard.create(ref, deadline_s=S)
        await apply(shard, ref, person("ada"))
    return refs


@pytest.fixture
async def searches(shard: Shard, refs: dict[str, GraphRef], monkeypatch: pytest.MonkeyPatch) -> Searches:
    return Searches(shard, refs, monkeypatch)


async def test_one_tenant_that_floods_a_shard_leaves_a_thread_to_others(searches: Searches) -> None:
    flood = searches.ask(*[FLOODING] * 20)
    await searches.until_begun(1)

    found = [await each for each in searches.ask(CALM, CALM, CALM)]

    assert [len(hits) for hits in found] == [1, 1, 1]
    assert searches.begun == [FLOODING, CALM, CALM, CALM]
    assert not any(each.done() for each in flood)
    await _ended(flood)


async def test_where_several_flood_a_shard_another_waits_for_one_of_their_reads(searches: Searches) -> None:
    flood = searches.ask(*[FLOODING, FLOODING_TOO] * 20)
    await searches.until_begun(2)
    asked = searches.ask(CALM, CALM)
    await asyncio.sleep(0)  # for as long as it takes them to wait

    searches.let_go.release()
    await searches.until_begun(4)

    assert searches.begun[2] == CALM
    assert len(await asked[0]) == 1
    assert sum(each.done() for each in flood) == 1
    await _ended([*flood, *asked])


async def test_one_tenant_has_half_of_the_streams_and_another_finds_one(
    shard: Shard, refs: dict[str, GraphRef]
) -> None:
    async with aclosing(_export(shard, refs[FLOODING])) as slow, aclosing(_export(shard, refs[FLOODING])) as slower:
        await anext(slow)
        await anext(slower)

        with pytest.raises(ShardBusyError, match=r"this tenant has 2 loads.* half .*SHARD_STREAMS_MAX"):
            await anext(_export(shard, refs[FLOODING]))
        assert [chunk async for chunk in _export(shard, refs[CALM])]
        await slow.aclose()
        assert [chunk async for chunk in _export(shard, refs[FLOODING])]


async def test_an_import_counts_for_as_long_as_its_thread_works(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()

    def deaf(*_: Any) -> None:
        let_go.wait(S)

    async def imports(shard: Shard, graph: str) -> bool:
        with suppress(ShardBusyError):
            await shard.restore(new_ref(FLOODING, graph), sent(b"{}"), deadline_s=S)
            return True
        return False

    async with shard_of(opened(tmp_path), shard_streams_max=2) as shard:
        monkeypatch.setattr(SqliteEngine, "restore", deaf)
        with pytest.raises(GraphDeadlineError):
            await shard.restore(new_ref(FLOODING, "first"), sent(b"{}"), deadline_s=0.05)

        assert not await imports(shard, "second")
        let_go.set()
        async with asyncio.timeout(S):
            while not await imports(shard, "second"):  # noqa: ASYNC110 (a thread ends)
                await asyncio.sleep(0.005)


async def test_tenants_take_turns_when_many_graphs_wait_to_be_written(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, begun, let_go = SqliteGraph.apply_many, list[str](), threading.Semaphore(0)

    def slow(graph: SqliteGraph, batches: Sequence[Batch], now_ms: int) -> list[Any]:
        begun.append(batches[0].ref.tenant)
        let_go.acquire(timeout=S)
        return commit(graph, batches, now_ms)

    async with shard_of(opened(tmp_path), shard_write_threads=1) as shard:
        refs = [new_ref(FLOODING, f"people-{number}") for number in range(5)] + [new_ref(CALM), new_ref(FLOODING_TOO)]
        for ref in refs:
            await shard.create(ref, deadline_s=S)
        monkeypatch.setattr(SqliteGraph, "apply_many", slow)
        writes = [asyncio.create_task(apply(shard, ref, person("ada"))) for ref in refs]

        let_go.release(len(refs))
        await asyncio.gather(*writes)

    assert begun == [FLOODING, CALM, FLOODING_TOO, *[FLOODING] * 4]


def _export(shard: Shard, ref: GraphRef) -> Any:
    return shard.export(ref, deadline_s=60.0)


async def _ended(calls: list[asyncio.Task[list[Hit]]]) -> None:
    for each in calls:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

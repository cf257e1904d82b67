"""What moves of graphs cost those who write and read meanwhile: one large graph, and many small ones.

The longest write and the longest read of one caller each are beside what they are while nothing moves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from argosy.graph.bound import BoundGraph
from argosy.graph.facts import WriteKey
from argosy.graph.ops import Op, UpsertNode
from argosy.store.move import MoveState
from bench.bed import bed
from bench.report import Finding
from bench.services import Services
from tests.moves.moving import TENANT, Moving, opened

_NODE_SIZE_BYTES: Final = 8_192
_BATCH: Final = 200  # nodes
_USUAL_S: Final = 3.0
_LOAD_S: Final = 900.0
_STALL_S_MAX: Final = 1.0


class _Caller:
    """Writes to a graph and reads it, one call after the other, and remembers the longest of each."""

    def __init__(self, graph: BoundGraph) -> None:
        self.write_s = self.read_s = 0.0
        self._graph = graph
        self._is_over = False
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    async def stop(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _write(self) -> None:
        number = 0
        while not self._is_over:
            number += 1
            key, began_s = WriteKey(f"{id(self)}-{number}", int(time.time() * 1_000)), time.perf_counter()
            await self._graph.apply([UpsertNode(f"written-{number % 100}", "Written")], key=key)
            self.write_s = max(self.write_s, time.perf_counter() - began_s)
            await asyncio.sleep(0.005)

    async def _read(self) -> None:
        while not self._is_over:
            began_s = time.perf_counter()
            await self._graph.get_nodes(["node-0"])
            self.read_s = max(self.read_s, time.perf_counter() - began_s)
            await asyncio.sleep(0.005)


async def _batches(size_bytes: int) -> AsyncIterator[Sequence[Op]]:
    text = "x" * _NODE_SIZE_BYTES
    for first in range(0, size_bytes // _NODE_SIZE_BYTES, _BATCH):
        yield [UpsertNode(f"node-{number}", "Node", {"text": text}) for number in range(first, first + _BATCH)]


async def _large(moving: Moving, size_bytes: int) -> list[Finding]:
    row = await moving.graphs.create(TENANT, "large")
    graph = moving.graphs.of(TENANT, "large")
    await graph.bulk_load(_batches(size_bytes), deadline_s=_LOAD_S)
    usual = _Caller(graph)
    await asyncio.sleep(_USUAL_S)
    await usual.stop()
    endpoint = next(each.endpoint for each in moving.members.all if each.member_id != row.shard)
    target = next(name for name, each in moving.shards.items() if each.endpoint == endpoint)

    caller, began_s = _Caller(graph), time.perf_counter()
    await moving.ask_move("large", target)
    await moving.until_settled(within_s=_LOAD_S)
    elapsed_s = time.perf_counter() - began_s
    await caller.stop()

    (move,) = await moving.moves()
    assert move.state is MoveState.DONE, move
    stall = f"{caller.write_s * 1e3:.0f} ms (usually {usual.write_s * 1e3:.0f} ms)"
    gap = f"{caller.read_s * 1e3:.0f} ms (usually {usual.read_s * 1e3:.0f} ms)"
    rate = f"{elapsed_s:.1f} s, {move.size_bytes / elapsed_s / 1e6:.0f} MB/s"
    return [
        Finding(f"a graph of {move.size_bytes / 1e6:.0f} MB moves", rate, "", None),
        Finding("its longest write meanwhile", stall, "≤ 1000 ms", caller.write_s <= _STALL_S_MAX),
        Finding("its longest read meanwhile", gap, "≤ 1000 ms", caller.read_s <= _STALL_S_MAX),
    ]


async def _many(moving: Moving, count: int) -> list[Finding]:
    for number in range(count):
        await moving.graphs.create(TENANT, f"small-{number}")
        await moving.graphs.of(TENANT, f"small-{number}").apply([UpsertNode("ada", "Person")])
    name = max(moving.shards, key=lambda each: moving.shards[each].endpoint)
    graphs = await moving.graphs_of(name)
    began_s = time.perf_counter()
    await moving.changes.drain((await moving.member(name)).member_id)
    await moving.until_settled(within_s=_LOAD_S)
    rate = graphs / (time.perf_counter() - began_s)
    stalls = sorted(each.stalled_s for each in await moving.moves() if each.stalled_s is not None)
    return [
        Finding(f"{graphs} small graphs move", f"{rate:.0f} a second", "", None),
        Finding(
            "their writers wait",
            f"p50 {stalls[len(stalls) // 2] * 1e3:.0f} ms, at most {stalls[-1] * 1e3:.0f} ms",
            "",
            None,
        ),
    ]


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    async with bed(servers, folder, "moves", 1) as made, opened(made.fleet, made.folder) as moving:
        await moving.seed("one", "two")
        await asyncio.to_thread(moving.maintain().wait_ready)
        large = await _large(moving, 100_000_000 if is_quick else 1_000_000_000)
        return [*large, *await _many(moving, 60 if is_quick else 300)]

"""How much later answers come while another graph of the same shard is asked what never ends.

The same calls in turn, alone and beside two such queries at once, so that what else the machine does falls on both.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from argosy.errors import ArgosyError
from argosy.graph.facts import GraphRef, Source
from argosy.graph.ops import UpsertEdge, UpsertNode
from argosy.graph.transport import Transport
from bench.latency import p50_p99_ms
from bench.report import Finding
from tests.shards.engines import new_ref
from tests.shards.processes import ShardProcess
from tests.shards.views import ENDLESS

_ROUNDS: Final = 8
_CALLS: Final = 60  # of each kind, in each round
_NODES: Final = 500
_AT_ONCE: Final = 2  # endless queries
_S: Final = 10.0

Call = Callable[[int], Awaitable[object]]


async def _filled(shard: Transport, name: str) -> GraphRef:
    ref = new_ref(graph=name)
    await shard.create(ref, deadline_s=_S)
    ops = [UpsertNode(str(n), "Person", {"name": f"person {n}"}) for n in range(_NODES)]
    edges = [UpsertEdge(str(n), "KNOWS", str(n * 7 % _NODES)) for n in range(_NODES)]
    await shard.apply(ref, [*ops, *edges], key=None, token=None, source=Source(), deadline_s=_S)
    return ref


@contextlib.asynccontextmanager
async def _hostile(shard: Transport, ref: GraphRef) -> AsyncIterator[None]:
    async def ask() -> None:
        while True:
            with contextlib.suppress(ArgosyError):
                await shard.query(ref, ENDLESS, {}, row_limit=1, deadline_s=2.0)

    asking = [asyncio.create_task(ask()) for _ in range(_AT_ONCE)]
    await asyncio.sleep(0.3)  # until they run; those at their deadline begin again
    try:
        yield
    finally:
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def _timed(call: Call, times_s: list[float]) -> None:
    for number in range(_CALLS):
        began_s = time.perf_counter()
        await call(number)
        times_s.append(time.perf_counter() - began_s)


async def _measure(shard: Transport, rounds: int) -> list[Finding]:
    ref, other = await _filled(shard, "asked"), await _filled(shard, "hostile")

    async def get(number: int) -> object:
        return await shard.get_nodes(ref, [str(number % _NODES)], deadline_s=_S)

    async def query(number: int) -> object:
        cypher = "MATCH (a {id: $id})-[:KNOWS]->(b) RETURN b.id"
        return await shard.query(ref, cypher, {"id": str(number % _NODES)}, row_limit=10, deadline_s=_S)

    kinds: dict[str, Call] = {"a node by id": get, "Cypher": query}
    idle: dict[str, list[float]] = {name: [] for name in kinds}
    beside: dict[str, list[float]] = {name: [] for name in kinds}
    for call in kinds.values():
        await _timed(call, [])
    for _ in range(rounds):
        for name, call in kinds.items():
            await _timed(call, idle[name])
        async with _hostile(shard, other):
            for name, call in kinds.items():
                await _timed(call, beside[name])
        await asyncio.sleep(2.5)  # the queries that were left have ended
    findings = []
    for name in kinds:
        alone, late = p50_p99_ms(idle[name]), p50_p99_ms(beside[name])
        ratio = late["p99_ms"] / alone["p99_ms"]
        seen = f"{ratio:.1f} (p99 {alone['p99_ms']:.2f} → {late['p99_ms']:.2f} ms)"
        findings.append(Finding(f"{name}, p99 beside endless queries, of p99 alone", seen, "< 3", ratio < 3))
    return findings


async def measure(folder: Path, *, is_quick: bool) -> list[Finding]:
    process = ShardProcess(folder)
    process.start()
    try:
        async with process.called() as shard:
            return await _measure(shard, 2 if is_quick else _ROUNDS)
    finally:
        process.bury()

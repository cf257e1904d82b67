"""What a call to a shard costs beside the smallest signed call to the same shard: python -m bench.shard_calls

A shard process, one caller. Identify is the floor: signed both ways, and nothing is looked up or sent. Rounds of each
kind take turns, so that what else the machine does falls on all of them alike.
"""

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

from argosy.graph.facts import GraphRef, Source
from argosy.graph.ops import UpsertEdge, UpsertNode
from argosy.graph.transport import Transport
from bench.report import Finding, print_findings
from tests.shards.processes import ShardProcess

NODES: Final = 5_000
ROUNDS: Final = 15
CALLS: Final = 100  # of each kind, in each round
AT_ONCE: Final = 16
S: Final = 30.0


async def fill(shard: Transport) -> GraphRef:
    ref = GraphRef("bench", "people", uuid.uuid4(), 1)
    await shard.create(ref, deadline_s=S)
    for begin in range(0, NODES, 500):
        ops = [UpsertNode(str(n), "Person", {"name": f"person {n}", "age": n % 90}) for n in range(begin, begin + 500)]
        edges = [UpsertEdge(str(n), "KNOWS", str(n * 7 % (begin + 500))) for n in range(begin, begin + 500)]
        await shard.apply(ref, [*ops, *edges], key=None, token=None, source=Source(), deadline_s=S)
    return ref


async def one_by_one(call: Callable[[int], Awaitable[object]], count: int) -> float:
    """Return the seconds of a call."""
    began_s = time.perf_counter()
    for number in range(count):
        await call(number)
    return (time.perf_counter() - began_s) / count


async def at_once(call: Callable[[int], Awaitable[object]], count: int) -> float:
    """Return the seconds of a call when some are made at once."""

    async def caller(first: int) -> None:
        for number in range(first, count, AT_ONCE):
            await call(number)

    began_s = time.perf_counter()
    await asyncio.gather(*map(caller, range(AT_ONCE)))
    return (time.perf_counter() - began_s) / count


async def measure(shard: Transport) -> list[Finding]:
    ref = await fill(shard)

    async def identify(_: int) -> object:
        return await shard.identify(deadline_s=S)

    async def get(number: int) -> object:
        return await shard.get_nodes(ref, [str(number * 37 % NODES)], deadline_s=S)

    async def get_50(number: int) -> object:
        return await shard.get_nodes(ref, [str((number + n) * 37 % NODES) for n in range(50)], deadline_s=S)

    async def hops(number: int) -> object:
        return await shard.neighbors(ref, [str(number * 37 % NODES)], depth=2, limit=100, deadline_s=S)

    kinds = {"identify": identify, "get": get, "get 50": get_50, "2 hops": hops}
    alone: dict[str, list[float]] = {name: [] for name in kinds}
    together: dict[str, list[float]] = {name: [] for name in kinds}
    for call in kinds.values():
        await one_by_one(call, CALLS)
    for _ in range(ROUNDS):
        for name, call in kinds.items():
            alone[name].append(await one_by_one(call, CALLS))
            together[name].append(await at_once(call, CALLS))
    findings = []
    for how, seen in (("one by one", alone), (f"{AT_ONCE} at once", together)):
        pairs = list(zip(seen["identify"], seen["get"], seen["get 50"], strict=True))
        of_echo = statistics.median(echo / one for echo, one, _ in pairs)
        of_one = statistics.median(one / (many / 50) for _, one, many in pairs)
        us = ", ".join(f"{name} {statistics.median(each_s) * 1e6:.0f} µs" for name, each_s in seen.items())
        findings += [
            Finding(
                f"GetNodes of one against the smallest signed call, {how}", f"{of_echo:.2f}", "≥ 0.8", of_echo >= 0.8
            ),
            Finding(f"GetNodes(50), nodes against GetNodes of one, {how}", f"{of_one:.1f}", "≥ 15", of_one >= 15),
            Finding(f"calls, {how}", us, "", None),
        ]
    hops_ms = statistics.median(alone["2 hops"]) * 1_000
    return [*findings, Finding("a neighbourhood of 2 hops", f"{hops_ms:.2f} ms", "≤ 2 ms", hops_ms <= 2)]


async def run() -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as folder:
        process = ShardProcess(Path(folder))
        process.start()
        try:
            async with process.called() as shard:
                return await measure(shard)
        finally:
            process.bury()


if __name__ == "__main__":
    print_findings(uvloop.run(run()))

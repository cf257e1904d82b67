"""What calls to a shard cost beside a signed echo in the same process (bench/echo.py).

One caller. Rounds of each kind take turns, so that what else the machine does falls on all of them alike.
"""

import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from argosy import config
from argosy.clock import SystemClock
from argosy.graph import messages
from argosy.graph.facts import GraphRef, Source
from argosy.graph.ops import UpsertEdge, UpsertNode
from argosy.graph.transport import Transport
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_client import Caller, Method
from argosy.secret import load_keys
from bench.echo import ECHO_ID, SAY
from bench.report import Finding
from tests.harness.processes import ROOT, free_port
from tests.shards.processes import ShardProcess

_NODES: Final = 5_000
_ROUNDS: Final = 15
_CALLS: Final = 100  # of each kind, in each round
_AT_ONCE: Final = 16
_S: Final = 30.0

Call = Callable[[int], Awaitable[object]]


async def _fill(shard: Transport) -> GraphRef:
    ref = GraphRef("bench", "people", uuid.uuid4(), 1)
    await shard.create(ref, deadline_s=_S)
    for begin in range(0, _NODES, 500):
        ops = [UpsertNode(str(n), "Person", {"name": f"person {n}", "age": n % 90}) for n in range(begin, begin + 500)]
        edges = [UpsertEdge(str(n), "KNOWS", str(n * 7 % (begin + 500))) for n in range(begin, begin + 500)]
        await shard.apply(ref, [*ops, *edges], key=None, token=None, source=Source(), deadline_s=_S)
    return ref


async def _one_by_one(call: Call, count: int) -> float:
    """Return the seconds of a call."""
    began_s = time.perf_counter()
    for number in range(count):
        await call(number)
    return (time.perf_counter() - began_s) / count


async def _at_once(call: Call, count: int) -> float:
    """Return the seconds of a call when some are made at once."""

    async def caller(first: int) -> None:
        for number in range(first, count, _AT_ONCE):
            await call(number)

    began_s = time.perf_counter()
    await asyncio.gather(*map(caller, range(_AT_ONCE)))
    return (time.perf_counter() - began_s) / count


def _kinds(shard: Transport, ref: GraphRef, echoing: Caller) -> dict[str, Call]:
    say = Method(SAY, writes=False)

    async def echo(number: int) -> object:
        request = pb.GetNodesRequest(graph=messages.graph_to_pb(ref), ids=[str(number * 37 % _NODES)])
        return await echoing.ask(say, ECHO_ID, request, _S)

    async def get(number: int) -> object:
        return await shard.get_nodes(ref, [str(number * 37 % _NODES)], deadline_s=_S)

    async def get_50(number: int) -> object:
        return await shard.get_nodes(ref, [str((number + n) * 37 % _NODES) for n in range(50)], deadline_s=_S)

    async def hops(number: int) -> object:
        return await shard.neighbors(ref, [str(number * 37 % _NODES)], depth=2, limit=100, deadline_s=_S)

    return {"echo": echo, "get": get, "get 50": get_50, "2 hops": hops}


async def _measure(kinds: dict[str, Call], rounds: int) -> list[Finding]:
    alone: dict[str, list[float]] = {name: [] for name in kinds}
    together: dict[str, list[float]] = {name: [] for name in kinds}
    for call in kinds.values():
        await _one_by_one(call, 3 * _CALLS)
    for _ in range(rounds):
        for name, call in kinds.items():
            alone[name].append(await _one_by_one(call, _CALLS))
            together[name].append(await _at_once(call, _CALLS))
    findings = []
    for how, seen in (("one by one", alone), (f"{_AT_ONCE} at once", together)):
        pairs = list(zip(seen["echo"], seen["get"], seen["get 50"], strict=True))
        of_echo = statistics.median(echo / one for echo, one, _ in pairs)
        of_one = statistics.median(one / (many / 50) for _, one, many in pairs)
        us = ", ".join(f"{name} {statistics.median(each_s) * 1e6:.0f} µs" for name, each_s in seen.items())
        findings += [
            Finding(f"GetNodes of one, rate of a signed echo, {how}", f"{of_echo:.2f}", "≥ 0.8", of_echo >= 0.8),
            Finding(f"GetNodes(50), nodes' rate of GetNodes of one, {how}", f"{of_one:.1f}", "≥ 15", of_one >= 15),
            Finding(f"calls, {how}", us, "", None),
        ]
    hops_ms = statistics.median(alone["2 hops"]) * 1_000
    return [*findings, Finding("neighbours within 2 hops", f"p50 {hops_ms:.2f} ms", "p50 ≤ 2 ms", hops_ms <= 2)]


async def measure(folder: Path, *, is_quick: bool) -> list[Finding]:
    """Start a shard with an echo in this folder, and measure it."""
    port = free_port()
    program = (sys.executable, "-m", "bench.echo", str(port))
    process = ShardProcess(folder, program=program, PYTHONPATH=str(ROOT))
    process.start()
    try:
        size_bytes_max = config.load({}).shard_message_size_bytes_max
        keys = load_keys("", folder)
        echoing = Caller(f"127.0.0.1:{port}", keys.shards, SystemClock(), message_size_bytes_max=size_bytes_max)
        async with process.called() as shard:
            try:
                return await _measure(_kinds(shard, await _fill(shard), echoing), 4 if is_quick else _ROUNDS)
            finally:
                await echoing.close()
    finally:
        process.bury()

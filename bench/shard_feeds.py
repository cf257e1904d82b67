"""What lines of feeds cost a shard, next to a bulk load of the same, and how much later others' calls come meanwhile.

A shard as a process, over gRPC. The same lines go into new graphs by feeds and by bulk loads in turn. What the shard
leaves of a batch, for others who wait, is sent again at once.
"""

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from argosy.graph.facts import NO_SOURCE, GraphRef
from argosy.graph.feeds import FeedBatch, FeedState
from argosy.graph.ops import Op, UpsertNode
from argosy.graph.transport import Transport
from argosy.ingest.chain import EMPTY, chain_of
from bench.feed_lines import lines_of, mixed, nodes, parts_of
from bench.latency import p50_p99_ms
from bench.load import RefusedError
from bench.report import Finding
from tests.shards.engines import new_ref
from tests.shards.processes import ShardProcess

_S: Final = 60.0
_BATCH_SIZE_BYTES: Final = 262_144
_LINES: Final = 100_000
_FED_LINES: Final = 40_000  # of one feed, beside which others call
_ROUNDS: Final = 5
_PER_CALL: Final = 120  # of each kind of call, in each round
_RATE_MIN: Final = 20_000
_SHARE_MIN: Final = 0.25
_WRITE_MS_MAX: Final = 50.0

Call = Callable[[int], Awaitable[object]]


class Rate(NamedTuple):
    lines_per_s: float
    cpu_us: float  # of the shard, for one line


def _batches(ops: Sequence[Op], feed: str) -> list[FeedBatch]:
    batches, lines, size_bytes, first, before = [], [], 0, 1, EMPTY
    made_at_ms = int(time.time() * 1_000)
    for line in [*lines_of(ops), None]:
        if line is not None:
            lines.append(line)
            size_bytes += len(line) + 1
        if lines and (line is None or size_bytes >= _BATCH_SIZE_BYTES):
            after, end = chain_of(before, lines), first + len(lines)
            batches.append(FeedBatch(feed, made_at_ms, first, end, before, after, b"\n".join(lines)))
            lines, size_bytes, first, before = [], 0, end, after
    return batches


def _left(batch: FeedBatch, state: FeedState) -> FeedBatch:
    """Return what a shard has left of a batch of which it has done something."""
    if state.next <= batch.first:
        raise RefusedError(f"the shard did nothing with the lines from {batch.first} on")
    lines = batch.lines.split(b"\n")[state.next - batch.first :]
    return batch._replace(first=state.next, before=state.chain, lines=b"\n".join(lines))


class _Bench:
    """lines: how many were done for feeds."""

    lines = 0

    def __init__(self, shard: Transport, pid: int) -> None:
        self._shard = shard
        self._process = psutil.Process(pid)
        self._numbers = itertools.count()

    async def graph(self) -> GraphRef:
        ref = new_ref(graph=f"graph-{next(self._numbers)}")
        await self._shard.create(ref, deadline_s=_S)
        return ref

    async def feed(self, ops: Sequence[Op]) -> Rate:
        ref, batches = await self.graph(), _batches(ops, "job")

        return await self._timed(len(ops), self._send(ref, batches))

    async def _send(self, ref: GraphRef, batches: Iterable[FeedBatch]) -> None:
        for batch in batches:
            left = batch
            while left.first < left.end:
                state = (await self._shard.ingest(ref, left, deadline_s=_S)).state
                self.lines += state.next - left.first
                left = _left(left, state)

    async def load(self, ops: Sequence[Op]) -> Rate:
        ref = await self.graph()

        async def send() -> None:
            await self._shard.bulk_load(ref, parts_of(ops), source=NO_SOURCE, deadline_s=_S)

        return await self._timed(len(ops), send())

    async def _timed(self, count: int, work: Awaitable[None]) -> Rate:
        began_s, cpu_s = time.perf_counter(), sum(self._process.cpu_times()[:2])
        await work
        elapsed_s, cpu_s = time.perf_counter() - began_s, sum(self._process.cpu_times()[:2]) - cpu_s
        return Rate(count / elapsed_s, cpu_s / count * 1e6)

    @contextlib.asynccontextmanager
    async def feeding(self, at_once: int, ops: Sequence[Op]) -> AsyncIterator[GraphRef]:
        """Send to so many graphs for as long as this lasts. Yields the first of them."""
        batches, refs = _batches(ops, ""), [await self.graph() for _ in range(at_once)]

        async def send(ref: GraphRef) -> None:
            for number in itertools.count():
                await self._send(ref, (each._replace(feed=f"job {number}") for each in batches))

        sending = [asyncio.create_task(send(ref)) for ref in refs]
        await asyncio.sleep(0.5)
        try:
            yield refs[0]
        finally:
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    def calls(self, ref: GraphRef) -> dict[str, Call]:
        async def get(number: int) -> object:
            return await self._shard.get_nodes(ref, [f"n{number % 500:07}"], deadline_s=_S)

        async def write(number: int) -> object:
            node = UpsertNode(f"n{number % 500:07}", "Person", {"n": number})
            return await self._shard.apply(ref, [node], key=None, token=None, source=NO_SOURCE, deadline_s=_S)

        return {"a node by id": get, "a write": write}


async def _timed_calls(calls: dict[str, Call], times_s: dict[str, list[float]]) -> None:
    for name, call in calls.items():
        for number in range(_PER_CALL):
            began_s = time.perf_counter()
            await call(number)
            times_s.setdefault(name, []).append(time.perf_counter() - began_s)


async def _rates(bench: _Bench, rounds: int, lines: int) -> list[Finding]:
    findings = []
    for kind, ops in {"nodes": nodes(lines), "nodes and edges": mixed(lines)}.items():
        fed, loaded = [], []
        for _ in range(rounds):
            fed.append(await bench.feed(ops))
            loaded.append(await bench.load(ops))
        rate, cpu_us = (statistics.median(each[n] for each in fed) for n in (0, 1))
        share = rate / statistics.median(each.lines_per_s for each in loaded)
        load_us = statistics.median(each.cpu_us for each in loaded)
        seen = f"{rate:,.0f} lines/s, {cpu_us:.0f} µs of the shard's CPU each (a bulk load {load_us:.0f})"
        findings.append(Finding(f"feed of {kind} into one graph", seen, f"≥ {_RATE_MIN:,}", rate >= _RATE_MIN))
        asked = f"≥ {_SHARE_MIN}"
        findings.append(Finding(f"feed of {kind}, of a bulk load", f"{share:.2f}", asked, share >= _SHARE_MIN))
    return findings


async def _neighbours(bench: _Bench, rounds: int) -> list[Finding]:
    ref = await bench.graph()
    calls = bench.calls(ref)
    await _timed_calls(calls, {})
    idle: dict[str, list[float]] = {}
    fed = {"nodes": nodes(_FED_LINES), "nodes and edges": mixed(_FED_LINES)}
    beside: dict[int, dict[str, list[float]]] = {1: {}, 2: {}}
    within: dict[str, dict[str, list[float]]] = {kind: {} for kind in fed}
    rates: dict[str, list[float]] = {kind: [] for kind in fed}
    for _ in range(rounds):
        await _timed_calls(calls, idle)
        for at_once, times_s in beside.items():
            async with bench.feeding(at_once, fed["nodes"]):
                await _timed_calls(calls, times_s)
        for kind, ops in fed.items():
            async with bench.feeding(1, ops) as graph:
                began_s, lines = time.perf_counter(), bench.lines
                await _timed_calls(bench.calls(graph), within[kind])
                rates[kind].append((bench.lines - lines) / (time.perf_counter() - began_s))
    findings = []
    for name in calls:
        alone = p50_p99_ms(idle[name])
        for where, times_s in (
            ("beside the feed of another graph", beside[1]),
            ("beside feeds of two other graphs", beside[2]),
            *((f"in a graph that is fed {kind}", times_s) for kind, times_s in within.items()),
        ):
            late = p50_p99_ms(times_s[name])
            seen = f"p50 {late['p50_ms']:.1f} ms, p99 {late['p99_ms']:.1f} ms (alone {alone['p99_ms']:.1f})"
            is_bounded = name == "a write" and times_s in within.values()
            asked = f"p50 ≤ {_WRITE_MS_MAX:.0f} ms" if is_bounded else ""
            findings.append(Finding(f"{name} {where}", seen, asked, late["p50_ms"] <= _WRITE_MS_MAX if asked else None))
    for kind, of_rounds in rates.items():
        seen = f"{statistics.median(of_rounds):,.0f} lines/s"
        findings.append(Finding(f"feed of {kind} meanwhile, others calling one by one", seen, "", None))
    return findings


async def measure(folder: Path, *, is_quick: bool) -> list[Finding]:
    process = ShardProcess(folder)
    pid = process.start().pid
    try:
        async with process.called() as shard:
            bench = _Bench(shard, pid)
            rounds = 2 if is_quick else _ROUNDS
            return [*await _rates(bench, rounds, _LINES), *await _neighbours(bench, rounds)]
    finally:
        process.bury()

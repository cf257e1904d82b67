"""Traffic to graphs, and what it knows: every acknowledged write is there once, and no read is older than it may be.

One writer per graph, so the graph's versions are numbered by its writes: write n is version n, or one was lost or
applied twice. Each sets `head` to n, too; whoever reads `head` sees at least what was acknowledged before the read
began, and what was read before.
"""

import asyncio
import json
import time
from dataclasses import dataclass

from argosy.errors import ArgosyError
from argosy.graph.bound import BoundGraph
from argosy.graph.facts import WriteKey
from argosy.graph.graphs import Graphs
from argosy.graph.ops import UpsertNode

_AGAIN_S = 0.05  # what failed is done again
_HEAD = "head"


@dataclass
class GraphLog:
    """What is known of one graph. begun, acknowledged: writes. stalled_s: the longest that one took."""

    name: str
    begun: int = 0
    acknowledged: int = 0
    stalled_s: float = 0.0
    reads: int = 0


class Traffic:
    """Writers and readers of a tenant's graphs, from `start` to `stop`. pause_s: between two writes of one."""

    def __init__(self, graphs: Graphs, tenant: str, names: list[str], *, pause_s: float, readers: int) -> None:
        self.logs = {name: GraphLog(name) for name in names}
        self._graphs = graphs
        self._tenant = tenant
        self._pause_s = pause_s
        self._readers = readers
        self._is_over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        works = [self._write(log) for log in self.logs.values()]
        works += [self._read(number) for number in range(self._readers)]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def stop(self) -> None:
        """Let everybody finish what they do. Raises AssertionError when a promise was broken."""
        self._is_over.set()
        await asyncio.gather(*self._tasks)

    def check(self) -> None:
        """Raise what a writer or a reader has found."""
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error

    async def until_written(self, times: int) -> None:
        """Return when every graph was written to so often from now on."""
        wanted = {name: log.acknowledged + times for name, log in self.logs.items()}
        async with asyncio.timeout(120):
            while any(self.logs[name].acknowledged < number for name, number in wanted.items()):
                self.check()
                await asyncio.sleep(_AGAIN_S)

    async def assert_all_there(self) -> None:
        """Every graph has what was acknowledged, and at most the write that was begun last."""
        for log in self.logs.values():
            copy = b"".join([chunk async for chunk in self._graph(log).export()])
            facts = [json.loads(line) for line in copy.splitlines()]
            numbers = sorted(int(each["id"]) for each in facts if each["kind"] == "node" and each["id"] != _HEAD)
            assert numbers == list(range(1, log.begun + 1)), log
            assert log.begun == log.acknowledged, log

    async def _write(self, log: GraphLog) -> None:
        graph = self._graph(log)
        while not self._is_over.is_set():
            log.begun += 1
            began_s = time.monotonic()
            version = await self._written(graph, log.begun)
            log.stalled_s = max(log.stalled_s, time.monotonic() - began_s)
            assert version == log.begun, (log, version)
            log.acknowledged = log.begun
            await asyncio.sleep(self._pause_s)

    async def _written(self, graph: BoundGraph, number: int) -> int:
        ops = [UpsertNode(id=str(number), label="N"), UpsertNode(id=_HEAD, label="Head", props={"n": number})]
        key = WriteKey(f"{graph.name.graph}-{number}", int(time.time() * 1_000))
        while True:
            try:
                return (await graph.apply(ops, key=key)).version
            except ArgosyError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(_AGAIN_S)

    async def _read(self, number: int) -> None:
        """Read every graph in turn, from another one on than other readers."""
        logs = list(self.logs.values())
        seen = dict.fromkeys(self.logs, 0)
        while not self._is_over.is_set():
            number += 1
            log = logs[number * 7 % len(logs)]
            floor = max(seen[log.name], log.acknowledged)
            try:
                (head,) = await self._graph(log).get_nodes([_HEAD])
            except ArgosyError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(_AGAIN_S)
                continue
            seen[log.name] = json.loads(head.props)["n"] if head else 0
            assert seen[log.name] >= floor, (log, seen[log.name], floor)
            log.reads += 1
            await asyncio.sleep(0.01)

    def _graph(self, log: GraphLog) -> BoundGraph:
        return self._graphs.of(self._tenant, log.name)

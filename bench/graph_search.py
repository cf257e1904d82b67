"""How long searches and recalls of a graph take, in process.

Words are as frequent as in prose: a few are in most nodes, most are in a few. CPU time says more than time where other
programs run.
"""

import asyncio
import contextlib
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from argosy import config
from argosy.graph.facts import Direction, GraphRef, Hit, Neighborhood, Source
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.graph.recall import recall
from argosy.shards.engine import Graph
from argosy.shards.engines.vectors import EXACT_MAX
from bench.report import Finding
from tests.shards.engines import BOUNDS, NOW_MS, never, new_ref, open_sqlite

Asking = TypeVar("Asking")

WORDS = 20_000
BATCH = 2_000
DIMENSION = 64
ROUNDS = 60
CHANCE = random.Random(1)  # of its own: other suites run in this process, too


def word() -> str:
    return f"w{min(int(CHANCE.paretovariate(0.7)) - 1, WORDS - 1)}"


def rare_word() -> str:
    return f"w{CHANCE.randrange(200, WORDS)}"


def batches(nodes: int) -> Iterator[list[Op]]:
    for first in range(0, nodes, BATCH):
        yield [
            UpsertNode(f"n{number}", "Note", {"text": " ".join(word() for _ in range(12)), "number": number})
            for number in range(first, min(first + BATCH, nodes))
        ]
    for _ in range(0, 5 * nodes, BATCH):
        yield [UpsertEdge(f"n{CHANCE.randrange(nodes)}", "ABOUT", f"n{CHANCE.randrange(nodes)}") for _ in range(BATCH)]


def vector() -> list[float]:
    """Return a vector near one of a few hundred others, as those of texts are."""
    center = random.Random(CHANCE.randrange(300))
    return [center.gauss(0, 1) + CHANCE.gauss(0, 0.3) for _ in range(DIMENSION)]


class Asked:
    """A graph as `recall` asks it."""

    def __init__(self, graph: Graph, ref: GraphRef) -> None:
        self._graph = graph
        self._ref = ref

    async def search(
        self,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float | None = None,
    ) -> list[Hit]:
        return self._graph.search(self._ref, text, limit, never)

    async def neighbors(self, ids: Sequence[str], *, limit: int, deadline_s: float | None = None) -> Neighborhood:
        return self._graph.neighbors(
            self._ref, ids, types=(), direction=Direction.BOTH, depth=1, limit=limit, interrupt=never
        )


def _timed(call: Callable[[Asking], object], asked: Iterable[Asking]) -> tuple[str, float]:
    """Return what is seen of the times of a call with each of these, and their median in milliseconds."""
    times, cpu_times = [], []
    for each in asked:
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        call(each)
        times.append((time.perf_counter() - began_s) * 1e3)
        cpu_times.append((time.process_time() - cpu_began_s) * 1e3)
    p50_ms = statistics.median(times)
    return f"p50 {p50_ms:.2f} ms, of CPU {statistics.median(cpu_times):.2f}; longest {max(times):.2f} ms", p50_ms


def _texts(graph: Graph, ref: GraphRef, nodes: int) -> Iterator[Finding]:
    loaded = graph.bulk_load(ref, batches(nodes), source=Source(), now_ms=NOW_MS)
    assert loaded.version == 1

    def search(text: str) -> object:
        return graph.search(ref, text, 10, never)

    seen, _ = _timed(search, ["w0"])
    yield Finding(f"the first search of {nodes:,} nodes", seen, "", None)
    texts: dict[str, Callable[[], str]] = {
        "3 rare words": lambda: " ".join(rare_word() for _ in range(3)),
        "3 words": lambda: " ".join(word() for _ in range(3)),
        "12 words": lambda: " ".join(word() for _ in range(12)),
        "1 word that most nodes have": lambda: "w0",
    }
    with asyncio.Runner() as runner:

        def remember(text: str) -> object:
            return runner.run(recall(Asked(graph, ref), text, 1_000))

        for kind, text in texts.items():
            seen, _ = _timed(search, [text() for _ in range(ROUNDS)])
            yield Finding(f"search of {nodes:,} nodes, {kind}", seen, "", None)
            seen, p50_ms = _timed(remember, [text() for _ in range(ROUNDS)])
            yield Finding(f"recall of {nodes:,} nodes, {kind}", seen, "p50 ≤ 10 ms", p50_ms <= 10)


def _while_filling() -> Iterator[list[float]]:
    """Yield vectors, ten a second, as long as vectors are taken into memory."""
    while any(thread.name == "shard-fill" for thread in threading.enumerate()):
        yield vector()
        time.sleep(0.1)


def _vectors(graph: Graph, ref: GraphRef, count: int) -> Iterator[Finding]:
    def nearest(asked: Sequence[float]) -> object:
        return graph.nearest(ref, "e", asked, 10, never)

    def of_vectors(what: str, seen: str) -> Finding:
        return Finding(f"{what} of {count:,} vectors", seen, "", None)

    nodes = ([UpsertNode(f"v{number}", "V", vectors={"e": vector()})] for number in range(count))
    graph.bulk_load(ref, nodes, source=Source(), now_ms=NOW_MS)
    yield of_vectors("the first nearest", _timed(nearest, [vector()])[0])
    if count >= EXACT_MAX:
        began_s = time.perf_counter()
        yield of_vectors("nearest, while memory is filled,", _timed(nearest, _while_filling())[0])
        yield of_vectors("filling memory", f"{time.perf_counter() - began_s:.1f} s")
    yield of_vectors("nearest", _timed(nearest, [vector() for _ in range(ROUNDS)])[0])


def measure(folder: Path, *, is_quick: bool) -> list[Finding]:
    """Measure graphs in this folder."""
    nodes = 10_000 if is_quick else 100_000
    bounds = BOUNDS._replace(vectors_bytes=config.load({}).shard_vectors_size_bytes_max)
    with contextlib.closing(open_sqlite(folder, bounds)) as engine:
        ref = new_ref()
        engine.create(ref)
        findings = list(_texts(engine.graph(ref), ref, nodes))
        for count in (9_000, 20_000 if is_quick else 100_000):
            ref = new_ref(graph=f"vectors-{count}")
            engine.create(ref)
            findings += _vectors(engine.graph(ref), ref, count)
    return findings

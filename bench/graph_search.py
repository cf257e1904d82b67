"""How long searches, recalls and summaries of a graph take, in process: python -m bench.graph_search [nodes]

Words are as frequent as in prose: a few are in most nodes, most are in a few. The target is a recall's: p50 ≤ 10 ms on
100,000 nodes. CPU time says more than time where other programs run.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from argosy.graph.facts import Direction, GraphRef, Hit, Neighborhood, Source
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.graph.recall import recall
from argosy.shards.engine import Graph
from tests.shards.engines import NOW_MS, never, new_ref, open_sqlite

WORDS = 20_000
BATCH = 2_000
DIMENSION = 64
ROUNDS = 60
random.seed(1)


def word() -> str:
    return f"w{min(int(random.paretovariate(0.7)) - 1, WORDS - 1)}"


def rare_word() -> str:
    return f"w{random.randrange(200, WORDS)}"


def batches(nodes: int) -> Iterator[list[Op]]:
    for first in range(0, nodes, BATCH):
        yield [
            UpsertNode(f"n{number}", "Note", {"text": " ".join(word() for _ in range(12)), "number": number})
            for number in range(first, min(first + BATCH, nodes))
        ]
    for _ in range(0, 5 * nodes, BATCH):
        yield [UpsertEdge(f"n{random.randrange(nodes)}", "ABOUT", f"n{random.randrange(nodes)}") for _ in range(BATCH)]


def vector() -> list[float]:
    """Return a vector near one of a few hundred others, as those of texts are."""
    center = random.Random(random.randrange(300))
    return [center.gauss(0, 1) + random.gauss(0, 0.3) for _ in range(DIMENSION)]


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


def say(what: str, call: Callable[[], object], rounds: int = ROUNDS) -> None:
    times, cpu_times = [], []
    for _ in range(rounds):
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - began_s) * 1e3)
        cpu_times.append((time.process_time() - cpu_began_s) * 1e3)
    cpu_ms = statistics.median(cpu_times)
    print(
        f"{what:36} p50 {statistics.median(times):8.2f} ms, of CPU {cpu_ms:8.2f}; longest {max(times):8.2f} ms",
        flush=True,
    )


def measure(graph: Graph, ref: GraphRef, nodes: int) -> None:
    loaded = [graph.bulk_load(ref, batches(nodes), source=Source(), now_ms=NOW_MS)]
    assert loaded[0].version == 1
    say(f"the first search of {nodes} nodes", lambda: graph.search(ref, "w0", 10, never), 1)
    texts: dict[str, Callable[[], str]] = {
        "3 rare words": lambda: " ".join(rare_word() for _ in range(3)),
        "3 words": lambda: " ".join(word() for _ in range(3)),
        "12 words": lambda: " ".join(word() for _ in range(12)),
        "1 word that most nodes have": lambda: "w0",
    }
    with asyncio.Runner() as runner:
        for kind, text in texts.items():
            asked = [text() for _ in range(2 * ROUNDS)]
            say(f"search, {kind}", lambda: graph.search(ref, asked.pop(), 10, never))  # noqa: B023 (called here)
            say(f"recall, {kind}", lambda: runner.run(recall(Asked(graph, ref), asked.pop(), 1_000)))  # noqa: B023
    say("a summary", lambda: graph.summary(ref, never), 1)


def measure_vectors(graph: Graph, ref: GraphRef, count: int) -> None:
    nodes = [[UpsertNode(f"v{number}", "V", vectors={"e": vector()})] for number in range(count)]
    graph.bulk_load(ref, nodes, source=Source(), now_ms=NOW_MS)
    say(f"the first nearest of {count} vectors", lambda: graph.nearest(ref, "e", vector(), 10, never), 1)
    say("nearest, the next ones", lambda: graph.nearest(ref, "e", vector(), 10, never), 80)
    say("nearest", lambda: graph.nearest(ref, "e", vector(), 10, never))


def main(nodes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as folder:
        engine = open_sqlite(Path(folder))
        ref = new_ref()
        engine.create(ref)
        measure(engine.graph(ref), ref, nodes)
        for count in (9_000, 20_000):
            ref = new_ref(graph=f"vectors-{count}")
            engine.create(ref)
            measure_vectors(engine.graph(ref), ref, count)
        engine.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)

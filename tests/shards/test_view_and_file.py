"""What Cypher answers equals what the graph's file has, under random operations, through a whole shard."""

import asyncio
import contextlib
import math
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.errors import ArgosyError, ViewLostError
from argosy.graph.facts import GraphRef
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.shards.shard import Shard
from tests.shards.engines import new_ref, open_sqlite
from tests.shards.shards import S, apply, shard_of
from tests.shards.view_ops import OPS
from tests.shards.views import ENDLESS, dumped, present

FEW: Final = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
MANY: Final = settings(FEW, max_examples=600)
HOSTILE: Final = [
    "WITH 'aaaaaaaa' AS s RETURN size(reduce(x = s, i IN range(1, 60) | x + x))",
    "MATCH (a), (b), (c), (d), (e), (f) RETURN count(*)",
    "MATCH (a)-[:K*]->(b) RETURN count(*)",
    ENDLESS,
]


class Open:
    """A shard and an event loop that stay open for many examples."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.shard: Shard = self.runner.run(self.stack.enter_async_context(shard_of(open_sqlite(Path(folder)))))

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    opened = Open()
    yield opened
    opened.close()


async def in_view(shard: Shard, ref: GraphRef) -> tuple[list[bytes], list[bytes]]:
    nodes = await shard.query(ref, "MATCH (n) RETURN n", {}, row_limit=10_000, deadline_s=S)
    edges = await shard.query(ref, "MATCH ()-[r]->() RETURN r", {}, row_limit=10_000, deadline_s=S)
    return sorted(dumped(row[0]) for row in nodes.rows), sorted(dumped(row[0]) for row in edges.rows)


async def in_file(shard: Shard, ref: GraphRef) -> tuple[list[bytes], list[bytes]]:
    nodes = [
        {"id": node.id, "label": node.label, "props": present(msgspec.json.decode(node.props))}
        for node in await shard.scan(ref, limit=1_000, deadline_s=S)
    ]
    edges = [
        {"src": edge.src, "type": edge.type, "dst": edge.dst, "props": present(msgspec.json.decode(edge.props))}
        for edge in await shard.scan_edges(ref, limit=1_000, deadline_s=S)
    ]
    return sorted(map(dumped, nodes)), sorted(map(dumped, edges))


async def check(shard: Shard, batches: Sequence[Sequence[Op]], killed: bool) -> None:
    """Apply batches, of which a shard refuses some; ask in between, so that the view is there and kept current."""
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    for ops in batches:
        if ops:
            await asyncio.gather(apply(shard, ref, *ops), in_view(shard, ref))
            assert await in_view(shard, ref) == await in_file(shard, ref)
    if killed:
        kill_views()
        with contextlib.suppress(ViewLostError):  # unless the shard has noticed already
            await in_view(shard, ref)
        assert await in_view(shard, ref) == await in_file(shard, ref)
    await shard.drop(ref, deadline_s=S)


def kill_views() -> None:
    for child in psutil.Process().children():
        if "views.child" in str(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)


@FEW
@given(st.lists(OPS, max_size=3))
def test_a_view_equals_the_file(opened: Open, batches: list[list[Op]]) -> None:
    opened.runner.run(check(opened.shard, batches, killed=False))


@pytest.mark.slow
@MANY
@given(st.lists(OPS, min_size=1, max_size=6), st.booleans())
def test_a_view_equals_the_file_for_long(opened: Open, batches: list[list[Op]], killed: bool) -> None:
    opened.runner.run(check(opened.shard, batches, killed=killed and any(batches)))


@pytest.mark.slow
def test_queries_that_ask_too_much_do_not_slow_down_who_asks_another_graph(opened: Open) -> None:
    opened.runner.run(measure_beside(opened.shard))


async def measure_beside(shard: Shard) -> None:
    quiet, attacked = new_ref(graph="quiet"), new_ref(graph="attacked")
    for ref in (quiet, attacked):
        await shard.create(ref, deadline_s=S)
        await apply(shard, ref, *(UpsertNode(f"n{i}", "N") for i in range(30)))
    await apply(shard, attacked, *(UpsertEdge(f"n{i}", "K", f"n{j}") for i in range(30) for j in range(30)))
    is_over = asyncio.Event()

    async def attack(index: int) -> None:
        while not is_over.is_set():
            index += 1
            try:
                await shard.query(attacked, HOSTILE[index % len(HOSTILE)], {}, row_limit=100, deadline_s=1.0)
            except ArgosyError:
                await asyncio.sleep(0.01)

    async def get() -> None:
        await shard.get_nodes(quiet, ["n5"], deadline_s=S)

    idle_s = await p99_s(get, 3.0)
    attacks = [asyncio.ensure_future(attack(index)) for index in range(3)]
    beside_s = await p99_s(get, 6.0)
    is_over.set()
    await asyncio.gather(*attacks)

    assert beside_s < 3 * max(idle_s, 0.001)


async def p99_s(do: Callable[[], Awaitable[None]], for_s: float) -> float:
    took: list[float] = []
    ends_at = time.monotonic() + for_s
    while time.monotonic() < ends_at:
        began_at = time.perf_counter()
        await do()
        took.append(time.perf_counter() - began_at)
        await asyncio.sleep(0.001)
    return sorted(took)[math.floor(len(took) * 0.99)]


def test_a_view_that_was_killed_is_an_error_once_and_the_file_is_whole(opened: Open) -> None:
    ops: Any = [UpsertNode("a", "N", {"x": 1}), UpsertNode("b", "N"), UpsertEdge("a", "K", "b", {"name": "e"})]
    opened.runner.run(check(opened.shard, [ops], killed=True))

"""What graphs in files cost in process: a bulk load beside SQLite alone, a node by id, and many graphs on one shard."""

import contextlib
import json
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import apsw
import psutil

from argosy.graph.facts import GraphRef, Source
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.statements import load_statements
from bench.report import Finding
from tests.shards.engines import NOW_MS, new_ref, open_sqlite
from tests.shards.processes import ShardProcess
from tests.shards.shards import shard_of

_NODES: Final = 20_000
_EDGES: Final = 60_000
_BATCH: Final = 2_000
_ROUNDS: Final = 5
_GETS: Final = 2_000
_GRAPHS: Final = 1_000
_S: Final = 30.0
_SCHEMA: Final = load_statements("argosy.shards.engines", "schema")
_BATCH_SQL: Final = load_statements("argosy.shards.engines", "batch")


def _nodes() -> list[UpsertNode]:
    return [UpsertNode(f"n{n}", "Person", {"name": f"person {n}", "age": n % 90}) for n in range(_NODES)]


def _edges() -> list[UpsertEdge]:
    return [UpsertEdge(f"n{n % _NODES}", "KNOWS", f"n{n * 7919 % _NODES}", {"since": n}) for n in range(_EDGES)]


def _batches(nodes: Sequence[Op], edges: Sequence[Op]) -> Iterator[Sequence[Op]]:
    for ops in (nodes, edges):
        for first in range(0, len(ops), _BATCH):
            yield ops[first : first + _BATCH]


def _load(folder: Path, nodes: Sequence[Op], edges: Sequence[Op]) -> float:
    """Return the seconds in which an engine loads these."""
    with contextlib.closing(open_sqlite(folder)) as engine:
        ref = new_ref()
        engine.create(ref)
        began_s = time.perf_counter()
        engine.graph(ref).bulk_load(ref, _batches(nodes, edges), source=Source(), now_ms=NOW_MS)
        return time.perf_counter() - began_s


def _without_answer(statement: str) -> str:
    """Return a statement that asks for no row back: then SQLite runs it for all rows at once."""
    return _BATCH_SQL[statement].partition("RETURNING")[0]


def _insert(file: Path, nodes: Sequence[UpsertNode], edges: Sequence[UpsertEdge]) -> float:
    """Return the seconds in which SQLite takes the same rows, into the same tables, in one durable commit."""
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        for name, value in (("journal_mode", "wal"), ("synchronous", "full"), ("cache_size", -32_768)):
            connection.pragma(name, value)
        connection.execute(_SCHEMA["make_graph"])
        began_s = time.perf_counter()
        with connection:
            connection.executemany(
                _without_answer("insert_node"),
                ((each.id, each.label, json.dumps(each.props).encode(), 1, "", "") for each in nodes),
            )
            connection.executemany(
                _without_answer("insert_edge"),
                ((each.src, each.type, each.dst, json.dumps(each.props).encode(), 1, "", "") for each in edges),
            )
        return time.perf_counter() - began_s


def _bulk(folder: Path, rounds: int) -> Finding:
    nodes, edges = _nodes(), _edges()
    ratios, loaded_s = [], []
    for number in range(rounds):
        inserted_s = _insert(folder / f"{number}.sqlite", nodes, edges)
        loaded_s.append(_load(folder / f"engine-{number}", nodes, edges))
        ratios.append(inserted_s / loaded_s[-1])
    ratio = statistics.median(ratios)
    seen = f"{ratio:.2f} ({(_NODES + _EDGES) / statistics.median(loaded_s):,.0f} rows/s)"
    return Finding("bulk load, rate of SQLite alone with the same rows", seen, "≥ 0.5", ratio >= 0.5)


async def _get(folder: Path) -> Finding:
    ref = new_ref()
    async with shard_of(open_sqlite(folder)) as shard:
        await shard.create(ref, deadline_s=_S)
        await shard.apply(ref, _nodes()[:_BATCH], key=None, token=None, source=Source(), deadline_s=_S)
        times_s = []
        for number in range(2 * _GETS):
            began_s = time.perf_counter()
            await shard.get_nodes(ref, [f"n{number * 37 % _BATCH}"], deadline_s=_S)
            times_s.append(time.perf_counter() - began_s)
    p50_us = statistics.median(times_s[_GETS:]) * 1e6
    return Finding("a node by id, in process", f"p50 {p50_us:.0f} µs", "< 50 µs", p50_us < 50)


async def _many(folder: Path, graphs: int) -> Finding:
    process = ShardProcess(folder)
    process.start()
    try:
        of_process = psutil.Process(process.process.pid)
        async with process.called() as shard:
            for number in range(graphs):
                ref = GraphRef("bench", f"graph-{number}", uuid.uuid4(), 1)
                await shard.create(ref, deadline_s=_S)
                ops = [UpsertNode(str(n), "Person", {"name": f"person {n}"}) for n in range(50)]
                await shard.apply(ref, ops, key=None, token=None, source=Source(), deadline_s=_S)
                await shard.get_nodes(ref, ["7"], deadline_s=_S)
                await shard.neighbors(ref, ["7"], limit=10, deadline_s=_S)
        size_mb = of_process.memory_info().rss / 1e6
    finally:
        process.bury()
    what = f"memory of a shard, after {graphs:,} graphs in turn"
    return Finding(what, f"{size_mb:.0f} MB", "< 400 MB", size_mb < 400)


async def measure(folder: Path, *, is_quick: bool) -> list[Finding]:
    for name in ("bulk", "get"):
        (folder / name).mkdir()
    return [
        _bulk(folder / "bulk", 2 if is_quick else _ROUNDS),
        await _get(folder / "get"),
        await _many(folder / "many", 100 if is_quick else _GRAPHS),
    ]

"""What tests of engines have in common: engines on a folder, graphs, and batches in few words."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from argosy.graph.facts import Applied, Edge, FencingToken, GraphRef, Node, Source, WriteKey
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.shards.engine import Engine
from argosy.shards.engines.connections import OpenBounds
from argosy.shards.engines.sqlite import SqliteEngine

NOW_MS: Final = 1_800_000_000_000
NO_SOURCE: Final = Source()
HORIZON_MS: Final = 7 * 86_400_000
REJECTS_MAX: Final = 20
BOUNDS: Final = OpenBounds(graphs=64, memory_bytes=67_108_864, descriptors=512, vectors_bytes=67_108_864)


class Opened(Protocol):
    def __call__(self, root: Path, *, rejects_max: int = ...) -> Engine: ...


def open_sqlite(root: Path, bounds: OpenBounds = BOUNDS, *, rejects_max: int = REJECTS_MAX) -> SqliteEngine:
    return SqliteEngine(root, bounds=bounds, key_horizon_ms=HORIZON_MS, rejects_max=rejects_max)


def new_ref(tenant: str = "acme", graph: str = "people", generation: int = 1) -> GraphRef:
    return GraphRef(tenant, graph, uuid.uuid4(), generation)


def never() -> bool:
    return False


def person(node_id: str, **props: Any) -> UpsertNode:
    return UpsertNode(node_id, "Person", props)


def knows(src: str, dst: str, **props: Any) -> UpsertEdge:
    return UpsertEdge(src, "KNOWS", dst, props)


def apply(
    engine: Engine,
    ref: GraphRef,
    *ops: Op,
    key: str | None = None,
    made_at_ms: int = NOW_MS,
    token: FencingToken | None = None,
    now_ms: int = NOW_MS,
    source: Source = NO_SOURCE,
) -> Applied:
    write_key = None if key is None else WriteKey(key, made_at_ms)
    return engine.graph(ref).apply(ref, ops, key=write_key, token=token, source=source, now_ms=now_ms)


def load(engine: Engine, ref: GraphRef, *batches: Sequence[Op]) -> Applied:
    return engine.graph(ref).bulk_load(ref, batches, source=NO_SOURCE, now_ms=NOW_MS)


def facts_of(engine: Engine, ref: GraphRef) -> tuple[list[Node], list[Edge]]:
    """Return all nodes and edges of a small graph."""
    graph = engine.graph(ref)
    return graph.scan(ref, "", "", 1_000_000, never), graph.scan_edges(ref, ("", "", ""), 1_000_000, never)

"""Every call of a shard by which somebody sees or changes something of a graph, and who calls."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from argosy.graph.acl import GraphAcl
from argosy.graph.asker import Asker, principal_asker
from argosy.graph.facts import GraphRef, Source
from argosy.graph.feeds import FIRST_LINE, FeedBatch
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.graph.transport import Transport
from tests.shards.shards import S, apply, sent

ADA: Final = principal_asker("ada", ("staff",), is_admin=False)
BOB: Final = principal_asker("bob", (), is_admin=False)
BOSS: Final = principal_asker("boss", (), is_admin=True)
MARK: Final = "forbidden"  # all that is kept from BOB has it
OPEN_LIST: Final = GraphAcl(write=("*",))


def node(node_id: str, read: list[str] | None = None, write: list[str] | None = None, **props: Any) -> UpsertNode:
    acl = {} if read is None and write is None else {"_acl": {"read": read or [], "write": write or []}}
    return UpsertNode(node_id, "Person", {"note": "seen", **props, **acl}, vectors={"e": [1.0, 2.0]})


def hidden(node_id: str, **props: Any) -> UpsertNode:
    return UpsertNode(
        f"{MARK}-{node_id}", MARK, {MARK: MARK, **props, "_acl": {"write": ["user:ada"]}}, {"e": [1.0, 2.0]}
    )


def edge(src: str, dst: str, kind: str = "KNOWS") -> UpsertEdge:
    return UpsertEdge(src, kind, dst, {} if kind == "KNOWS" else {MARK: 1})


FACTS: Final[list[Op]] = [
    node("cy"),
    node("dee"),
    node("eve"),
    hidden("x", words="seen"),
    hidden("y", words="seen"),
    edge("cy", "dee"),
    edge("cy", f"{MARK}-x", MARK),
    edge(f"{MARK}-x", "eve", MARK),  # there is no other way to eve
    edge(f"{MARK}-y", f"{MARK}-x", MARK),
]


def by(ref: GraphRef, asker: Asker | None) -> GraphRef:
    return ref._replace(asker=asker)


async def exported(transport: Transport, ref: GraphRef) -> list[bytes]:
    return [line async for line in transport.export(ref, deadline_s=S)]


IDS: Final = ["cy", f"{MARK}-x", "eve", "nobody"]
Read = Callable[[Transport, GraphRef], Awaitable[Any]]
READS: Final[dict[str, list[Read]]] = {
    "get_nodes": [
        lambda shard, ref: shard.get_nodes(ref, IDS, deadline_s=S),
        lambda shard, ref: shard.get_nodes(ref, [*IDS, *map(str, range(100))], deadline_s=S),  # in a thread
    ],
    "neighbors": [
        lambda shard, ref: shard.neighbors(ref, ["cy"], depth=1, limit=100, deadline_s=S),
        lambda shard, ref: shard.neighbors(ref, ["cy"], depth=8, limit=100, deadline_s=S),
        lambda shard, ref: shard.neighbors(ref, ["cy"], depth=8, limit=2, deadline_s=S),
        lambda shard, ref: shard.neighbors(ref, [f"{MARK}-x"], depth=2, limit=100, deadline_s=S),
        lambda shard, ref: shard.neighbors(ref, ["cy", "eve"], types=[MARK], depth=2, limit=100, deadline_s=S),
    ],
    "scan": [
        lambda shard, ref: shard.scan(ref, limit=100, deadline_s=S),
        lambda shard, ref: shard.scan(ref, label=MARK, limit=1, deadline_s=S),
        lambda shard, ref: shard.scan(ref, after="eve", limit=1, deadline_s=S),
    ],
    "scan_edges": [
        lambda shard, ref: shard.scan_edges(ref, limit=100, deadline_s=S),
        lambda shard, ref: shard.scan_edges(ref, after=("cy", "KNOWS", "dee"), limit=1, deadline_s=S),
    ],
    "query": [lambda shard, ref: shard.query(ref, "MATCH (n) RETURN n", {}, row_limit=100, deadline_s=S)],
    "search": [
        lambda shard, ref: shard.search(ref, "seen", limit=100, deadline_s=S),
        lambda shard, ref: shard.search(ref, MARK, limit=1, deadline_s=S),
        lambda shard, ref: shard.search(ref, "", vector=("e", [1.0, 2.0]), limit=1, deadline_s=S),
        lambda shard, ref: shard.search(ref, "seen", vector=("e", [1.0, 2.0]), limit=100, deadline_s=S),
    ],
    "summary": [lambda shard, ref: shard.summary(ref, deadline_s=S)],
    "stats": [lambda shard, ref: shard.stats(ref, deadline_s=S)],
    "export": [exported],
    "feeds": [lambda shard, ref: shard.feeds(ref, ["a"], deadline_s=S)],
    "get_acl": [lambda shard, ref: shard.get_acl(ref, deadline_s=S)],
}


def line_of() -> FeedBatch:
    raw = msgspec.json.encode({"op": "upsert_node", "id": f"{MARK}-x", "label": "Person"})
    return FeedBatch("a", 1, FIRST_LINE, FIRST_LINE + 1, b"\0" * 16, b"\1" * 16, raw, 0)


WRITES: Final[dict[str, Read]] = {
    "apply": lambda shard, ref: apply(shard, ref, node("new")),
    "bulk_load": lambda shard, ref: shard.bulk_load(ref, sent([node("new")]), source=Source(), deadline_s=S),
    "ingest": lambda shard, ref: shard.ingest(ref, line_of(), deadline_s=S),
    "set_acl": lambda shard, ref: shard.set_acl(ref, GraphAcl(), deadline_s=S),
}
# They ask who asks, and need no right.
OTHERS: Final = {"create", "get_acl"}
# Calls over gRPC whose names in a transport are others.
NAMES: Final = {"Import": "restore", "GetNodes": "get_nodes", "BulkLoad": "bulk_load"}
COPIES: Final = frozenset({"Copy", "CopyTail", "ReleaseCopy", "Receive", "Land", "SetState", "Activate", "Abandon"})
X: Final = f"{MARK}-x"

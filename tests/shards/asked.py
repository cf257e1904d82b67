"""What tests of kept views have in common: graphs of a shard that are asked in Cypher, and the processes of views."""

from typing import Any

import psutil

from argosy import telemetry
from argosy.graph.facts import GraphRef
from argosy.graph.transport import Transport
from argosy.shards.shard import Shard
from tests.harness.metrics import value_of
from tests.shards.conditions import until
from tests.shards.engines import new_ref
from tests.shards.shards import S


async def made(shard: Shard, graph: str, tenant: str = "acme") -> GraphRef:
    ref = new_ref(tenant, graph)
    await shard.create(ref, deadline_s=S)
    return ref


def children() -> list[int]:
    """The processes of this process's views."""
    found = psutil.Process().children()
    return [
        each.pid for each in found if each.status() != psutil.STATUS_ZOMBIE and "views.child" in str(each.cmdline())
    ]


async def ask(transport: Transport, ref: GraphRef, cypher: str, deadline_s: float = S, **params: Any) -> list[Any]:
    return (await transport.query(ref, cypher, params, row_limit=1_000, deadline_s=deadline_s)).rows


async def ids_asked(transport: Transport, ref: GraphRef, deadline_s: float = S) -> list[str]:
    return [row[0] for row in await ask(transport, ref, "MATCH (n) RETURN n.id ORDER BY n.id", deadline_s)]


async def until_asked(queries: int) -> None:
    """Wait until views are working at so many queries."""
    await until(lambda: value_of(telemetry.SHARD_QUERIES) == queries)

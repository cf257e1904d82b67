"""Shards in this process for tests: the real engine and real views, with bounds as a test wants them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from argosy import config
from argosy.clock import SystemClock
from argosy.graph.facts import Applied, FencingToken, GraphRef, Source, WriteKey
from argosy.graph.ops import Op
from argosy.graph.transport import Transport
from argosy.shards.engine import Engine
from argosy.shards.opened import open_shard
from argosy.shards.shard import Shard
from tests.shards.engines import NO_SOURCE

S = 10.0


@asynccontextmanager
async def shard_of(engine: Engine, **settings: Any) -> AsyncIterator[Shard]:
    """Closes the engine as well."""
    shard = open_shard(config.load({}, **settings), engine, SystemClock())
    try:
        yield shard
    finally:
        await shard.drain(S)
        await shard.end()


async def apply(
    transport: Transport,
    ref: GraphRef,
    *ops: Op,
    key: WriteKey | None = None,
    token: FencingToken | None = None,
    source: Source = NO_SOURCE,
    deadline_s: float = S,
) -> Applied:
    return await transport.apply(ref, ops, key=key, token=token, source=source, deadline_s=deadline_s)


async def ids_of(transport: Transport, ref: GraphRef) -> list[str]:
    return [node.id for node in await transport.scan(ref, limit=1_000, deadline_s=S)]


async def sent(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item

"""A shard that is served over gRPC in this process, and transports to it."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.graph.facts import Member
from argosy.graph.transports.connect import GrpcConnect
from argosy.graph.transports.grpc import GrpcTransport
from argosy.shards.engine import Engine
from argosy.shards.server import ShardServer
from tests.shards.plain_shard import PlainShard
from tests.shards.shards import shard_of

KEY: Final = b"k" * 32
S: Final = 10.0


def settings_of(**values: Any) -> Settings:
    return Settings(**{"shard_port": 0, **values})


class ClockApart(SystemClock):
    """The machine's, as if it were set wrongly."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def unix_ms(self) -> int:
        return super().unix_ms() + int(self.ahead_s * 1_000)


class Served:
    """shard: what is served. address: where."""

    def __init__(self, engine: Engine, shard: PlainShard, server: ShardServer) -> None:
        self.engine = engine
        self.shard = shard
        self.server = server
        self.address = server.address
        self._opened: list[GrpcTransport] = []

    def transport(
        self,
        *,
        key: bytes = KEY,
        clock: Clock | None = None,
        member_id: uuid.UUID | None = None,
        address: str = "",
        **settings: Any,
    ) -> GrpcTransport:
        """Return a transport to this shard, closed with it; what is given differs from what would work."""
        connect = GrpcConnect(key, clock or SystemClock(), settings_of(**settings))
        opened = connect.to(Member(member_id or self.engine.member_id, address or self.address))
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        for opened in self._opened:
            await opened.close()
        await self.server.stop(0)


@asynccontextmanager
async def shard_over_grpc(engine: Engine, **settings: Any) -> AsyncIterator[GrpcTransport]:
    """A transport to the shard that `shard_of` makes."""
    async with shard_of(engine, **settings) as shard:
        set_to, clock = settings_of(**settings), SystemClock()
        server = ShardServer(shard, engine.member_id, KEY, clock, set_to)
        await server.start()
        transport = GrpcConnect(KEY, clock, set_to).to(Member(engine.member_id, server.address))
        try:
            yield transport
        finally:
            await transport.close()
            await server.stop(0)


@asynccontextmanager
async def serving(engine: Engine, *, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Served]:
    shard = PlainShard(engine)
    server = ShardServer(shard, engine.member_id, KEY, clock or SystemClock(), settings_of(**settings))
    await server.start()
    served = Served(engine, shard, server)
    try:
        yield served
    finally:
        await served.close()

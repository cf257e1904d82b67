"""What a restore writes to when the installation is that of `argosy up`: its PostgreSQL and its shard, run here for
that time. With STATE_DB_URI and GRAPH_SERVICE_ENDPOINTS it is what these name.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.extras import has_extra
from argosy.graph.facts import Member
from argosy.graph.seed import Found, find_shards
from argosy.graph.transport import Connect, Transport
from argosy.graph.transports.connect import connect_to_shards
from argosy.local.own_shard import shard_socket
from argosy.local.postgres import EmbeddedPostgres


class NewInstallation(NamedTuple):
    """dsn: of its database. connect: reaches its shards."""

    dsn: str
    connect: Connect
    shards: list[Found]


@contextlib.asynccontextmanager
async def new_installation(settings: Settings) -> AsyncIterator[NewInstallation]:
    """Run what is not running for as long as the block lasts. Raises SettingError when another process runs it."""
    async with contextlib.AsyncExitStack() as running:
        dsn = settings.state_db_uri
        if not dsn:
            postgres = EmbeddedPostgres(settings.argosy_data_dir / "postgres")
            await asyncio.to_thread(postgres.start)
            running.push_async_callback(asyncio.to_thread, postgres.stop)
            dsn = postgres.dsn
        clock = SystemClock()
        over_grpc = connect_to_shards(settings, clock)
        if settings.graph_service_endpoints:
            shards = await find_shards(over_grpc, settings.graph_service_endpoints, settings.argosy_ready_s, clock)
            yield NewInstallation(dsn, over_grpc, shards)
        elif not settings.state_db_uri and has_extra("graph"):
            own = await running.enter_async_context(_own_shard(settings))
            yield NewInstallation(dsn, _Here(own), [own.found])
        else:
            yield NewInstallation(dsn, over_grpc, [])


class _Own(NamedTuple):
    shard: Transport
    found: Found


@contextlib.asynccontextmanager
async def _own_shard(settings: Settings) -> AsyncIterator[_Own]:
    from argosy.shards.opened import open_engine, open_shard

    engine = await asyncio.to_thread(open_engine, settings, is_own_process=False)
    shard = open_shard(settings, engine, SystemClock())
    try:
        member = Member(engine.member_id, f"unix:{shard_socket(settings)}")
        yield _Own(shard, Found(member, has_graphs=not engine.is_empty))
    finally:
        await shard.drain(settings.shard_stop_s)
        await shard.end()


class _Here:
    """Reaches the one shard, which is in this process."""

    def __init__(self, own: _Own) -> None:
        self._own = own

    def to(self, member: Member) -> Transport:
        return self._own.shard

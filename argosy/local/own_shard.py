"""The shard that a fleet on one machine brings: `argosy up` as a child process, `argosy.Argosy` in its own process.

Rules:
- There is one unless GRAPH_SERVICE_ENDPOINTS names others, or argosy[graph] is not installed.
- It is the first member, and from then on the table of members counts. A folder that has graphs is no first member:
  they are another database's, and nobody here knows their names. While that has others and does not know this
  folder, the shard is not started: no graph would be looked for in it.
- Both have the same folder, as the same member, so a data folder may go from one to the other. Only `argosy up` serves
  it at the member's endpoint: what argosy.Argosy has, no other process reaches.
"""

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.extras import has_extra
from argosy.graph.facts import Member
from argosy.graph.seed import settle_own
from argosy.graph.transport import Connect, Transport
from argosy.graph.transports.connect import connect_to_shards
from argosy.local.sockets import make_private, short_folder
from argosy.store.graph import Directory
from argosy.store.pool import Pool, open_pool

log = structlog.get_logger()

_SOCKET: Final = "shard"
_HELD_S: Final = 3.0  # how long the folder may be held by the shard of a tree that was just killed
_LOOK_S: Final = 0.05  # a process that was killed lets go of its folder within moments
_NOT_KNOWN: Final = "the database has other shards, and does not know the folder {folder}: no shard is started for it"


def shard_socket(settings: Settings) -> Path:
    """Return where the shard serves."""
    data_dir = settings.argosy_data_dir
    return short_folder(data_dir / "sockets", _SOCKET, data_dir, "argosy-shard") / _SOCKET


async def prepare_shard(settings: Settings, dsn: str, clock: Clock, warn: Callable[[str], None]) -> Path | None:
    """Make the shard a member before it is started, and return where it is to serve; None when there is to be none.

    warn: called when the database does not know the folder. Raises SettingError when another process has the folder,
    it cannot be used, or it has graphs and the database knows no shard; and StoreUnavailableError.
    """
    if not _is_wanted(settings):
        return None
    from argosy.shards.engines.folder import Folder

    until_s = clock.monotonic_s() + _HELD_S
    while True:
        try:
            folder = Folder(settings.shard_folder)
            break
        except SettingError:
            if clock.monotonic_s() >= until_s:
                raise
        await clock.sleep(_LOOK_S)
    graphs_in = None if folder.is_empty else settings.shard_folder
    folder.close()
    path = shard_socket(settings)
    settings.argosy_data_dir.mkdir(parents=True, exist_ok=True)
    make_private(path.parent)
    async with open_pool(settings, dsn) as pool:
        if await settle_own(Directory(pool), Member(folder.member_id, f"unix:{path}"), graphs_in):
            return path
    warn(_NOT_KNOWN.format(folder=settings.shard_folder))
    return None


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@contextlib.asynccontextmanager
async def shard_in_process(settings: Settings, pool: Pool) -> AsyncIterator[Connect]:
    """Run the shard on this event loop while the block lasts. Yields what reaches it, and others over gRPC."""
    clock = SystemClock()
    over_grpc = connect_to_shards(settings, clock)
    if not _is_wanted(settings):
        yield over_grpc
        return
    from argosy.shards.measured import keep_measured
    from argosy.shards.opened import open_engine, open_shard

    engine = await asyncio.to_thread(open_engine, settings, is_own_process=False)
    shard = open_shard(settings, engine, clock)
    measuring = asyncio.create_task(keep_measured(shard, clock), name="shard-measure")
    try:
        own = Member(engine.member_id, f"unix:{shard_socket(settings)}")
        graphs_in = None if engine.is_empty else settings.shard_folder
        if not await settle_own(Directory(pool), own, graphs_in):
            log.warning(telemetry.STORE_WARNING, warning=_NOT_KNOWN.format(folder=settings.shard_folder))
        yield _ConnectHere(own.member_id, shard, over_grpc)
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
        await shard.drain(settings.shard_stop_s)
        await shard.end()


def _is_wanted(settings: Settings) -> bool:
    return not settings.graph_service_endpoints and has_extra("graph")


class _ConnectHere:
    """Reaches the shard of this process without a connection, and others over gRPC."""

    def __init__(self, own_id: uuid.UUID, here: Transport, elsewhere: Connect) -> None:
        self._own_id = own_id
        self._here = here
        self._elsewhere = elsewhere

    def to(self, member: Member) -> Transport:
        return self._here if member.member_id == self._own_id else self._elsewhere.to(member)

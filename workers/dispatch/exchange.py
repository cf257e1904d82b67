"""A worker's calls to and from other processes: pokes in both directions, and live events for gateways."""

import uuid
from collections.abc import Callable, Mapping, Sequence

from argosy.clock import Clock
from argosy.config import Settings
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.others import Others
from argosy.workers.dispatch.outside import Outside
from argosy.workers.dispatch.ownership.members import Members
from argosy.workers.dispatch.ownership.takeover import HeldTurn
from argosy.workers.dispatch.poke import PokeService
from argosy.workers.dispatch.stream.frame_publisher import FramePublisher
from argosy.workers.dispatch.stream.hub import Hub
from argosy.workers.dispatch.stream.service import WatchService
from argosy.workers.dispatch.stream.subscribers import Subscribers
from argosy.workers.dispatch.turn import Turn


class Exchange:
    """The services of the worker's gRPC server, and its clients. Serves from `start` to `close`."""

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        clock: Clock,
        database_clock: DatabaseClock,
        *,
        claims: Claims,
        fleet: Members,
        on_inbox: Callable[[Sequence[int]], None],
        on_signalled: Callable[[Sequence[tuple[str, uuid.UUID]]], None],
        on_log: Callable[[], None],
        on_claimed: Callable[[Sequence[int]], None],
        running: Callable[[uuid.UUID], Turn | None],
        running_of: Callable[[uuid.UUID], Turn | None],
        held: Callable[[], Mapping[uuid.UUID, HeldTurn]],
    ) -> None:
        self._server = outside.server
        self.others = Others(
            outside.poker, outside.pool, settings.lane, address=outside.server.address, on_mine=on_inbox
        )
        self._poke_service = PokeService(
            on_inbox, on_signalled, on_log, on_claimed, streams_max=settings.watch_streams_max
        )
        subscribers = Subscribers()
        frame_publisher = FramePublisher(
            subscribers,
            clock,
            database_clock,
            coalesce_s=settings.watch_coalesce_ms / 1000,
        )
        self.hub = Hub(
            subscribers,
            frame_publisher,
            claims=claims,
            fleet=fleet,
            running=running,
            running_of=running_of,
            held=held,
            subscriptions_max=settings.watch_subscriptions_max,
            result_size_bytes_max=settings.event_result_size_bytes_max,
        )
        self._watch_service = WatchService(
            self.hub,
            streams_max=settings.watch_streams_max,
            size_bytes_max=settings.watch_buffer_size_bytes_max,
        )

    async def start(self) -> None:
        await self._server.start(self._poke_service, self._watch_service)

    async def close(self) -> None:
        self._watch_service.close()
        self._poke_service.close()
        await self.others.close()
        await self._server.stop()

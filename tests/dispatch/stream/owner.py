"""A worker's side of streams without the worker: turns in memory, flushes by hand, real gRPC."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any, NoReturn

from argosy import ids
from argosy.clock import SystemClock
from argosy.rpc.server import RpcServer
from argosy.rpc.verify_calls import SilentBounds
from argosy.store.numbered_stream import Answer
from argosy.turn.events import Event
from argosy.turn.status import Status
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.flush.flush_entry import FlushEntry
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.changes import Loss
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.stream.frame_publisher import FramePublisher
from argosy.workers.dispatch.stream.hub import Hub
from argosy.workers.dispatch.stream.service import WatchService
from argosy.workers.dispatch.stream.subscribers import Subscribers
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.current import Try
from argosy.workflow.emit import emit
from argosy.workflow.journal import Emitter
from argosy.workflow.open_attempt import OpenAttempt
from tests.dispatch.claims import claims_of
from tests.dispatch.known_workers_stub import KnownWorkersStub
from tests.dispatch.said import settings_of
from tests.dispatch.stream.gateway import KEY
from tests.harness.hand_clock import HandClock
from tests.harness.silent import SILENT
from tests.workflow.emitting import inside

BOUNDS = ChannelBounds(1 << 24, 1 << 24, 1 << 26, 64)
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SIZE_BYTES_MAX = 1 << 20
_MINT = ids.TurnIdMint("default", "default")


class Steps:
    """In place of a journal: which steps run."""

    def __init__(self) -> None:
        self.active = {"answer"}


class Emits:
    """In place of a journal, for what a turn emits: see open, channels and show of TurnJournal."""

    bounds = BOUNDS

    def __init__(self, turn: Turn, frame_publisher: FramePublisher) -> None:
        self._turn = turn
        self._frame_publisher = frame_publisher
        self.turn_id, self.attempt = turn.turn_id, turn.attempt
        self.principal = None

    @property
    def is_new(self) -> bool:
        return self._turn.channels is None

    def open(self, emitter: Emitter) -> None:
        self._turn.emitter = emitter
        if self._frame_publisher.listener_of(self._turn) is not None:
            emitter.look()

    def channels(self) -> Channels:
        return self._turn.channels or Channels(BOUNDS, self._turn)

    def show(self, channels: Channels) -> None:
        self._turn.channels = channels
        channels.listener = self._frame_publisher.listener_of(self._turn)

    def graphs(self) -> NoReturn:
        raise NotImplementedError  # nothing here asks for a graph


class InMemory(Scheduler):
    """In place of a scheduler: the turns of a test, of which each is its session's head."""

    def __init__(self, live: dict[uuid.UUID, Turn]) -> None:
        super().__init__(look_ahead_turns=1)
        self.live = live

    def head_of(self, session_id: uuid.UUID) -> Turn | None:
        return next((turn for turn in self.live.values() if turn.session_id == session_id), None)


class Owner:
    """Owns every partition, under epoch 10."""

    def __init__(self, silent: SilentBounds = SILENT) -> None:
        self.worker_id = uuid.uuid4()
        self.claims = claims_of(Owned(0, 10, (0, 1023)))
        self.owned = self.claims.owned
        self.live: dict[uuid.UUID, Turn] = {}
        self.elsewhere = Elsewhere()
        self.subscribers = Subscribers()
        self.frame_publisher = FramePublisher(
            self.subscribers, SystemClock(), DatabaseClock(HandClock(1_700_000_000.0)), coalesce_s=0.01
        )
        self.hub = Hub(
            self.subscribers,
            self.frame_publisher,
            self.claims,
            KnownWorkersStub(lambda _: True, "127.0.0.1:7"),
            InMemory(self.live),
            self.elsewhere,
            settings_of(event_result_size_bytes_max=1_000, watch_subscriptions_max=100),
        )
        self.service = WatchService(self.hub, streams_max=3, size_bytes_max=SIZE_BYTES_MAX)
        self.server: RpcServer | None = None
        self._silent = silent
        self._attempts: dict[Turn, OpenAttempt] = {}
        self._tries: dict[tuple[Turn, str, int], Try] = {}

    @property
    def address(self) -> str:
        assert self.server is not None
        return self.server.address

    async def start(self) -> None:
        self.server = RpcServer(key=KEY, worker_id=self.worker_id, host="127.0.0.1", port=0, silent=self._silent)
        await self.server.start(self.service)

    async def stop(self) -> None:
        self.service.close()
        if self.server is not None:
            await self.server.stop()

    async def until_watched(self, count: int) -> None:
        """Returns when there are so many subscribers."""
        async with asyncio.timeout(5):
            while self.subscribers.count != count:  # noqa: ASYNC110 — what changes is a count, not an event
                await asyncio.sleep(0.01)

    def turn(self, session: str = "session") -> Turn:
        """A running turn in memory."""
        session_id = ids.session_id_of("default", "default", session)
        turn = Turn(
            owned=self.owned[0],
            turn_id=_MINT.mint(ids.bucket_of(session_id)),
            tenant="default",
            session_id=session_id,
            session_name=session,
            bucket=ids.bucket_of(session_id),
            place=7,
            workflow="w",
            priority=0,
            input=b"{}",
            status=Status.RUNNING,
            attempt=1,
        )
        self.live[turn.turn_id] = turn
        return turn

    def attempt(self, turn: Turn) -> OpenAttempt:
        """Of the turn, in which any step may run."""
        if turn not in self._attempts:
            journal = Emits(turn, self.frame_publisher)
            self._attempts[turn] = OpenAttempt(journal)
            journal.open(self._attempts[turn])
        return self._attempts[turn]

    def emit(self, turn: Turn, text: str, step: str = "write", name: str = "answer", tries: int = 1) -> None:
        """As its code would; step: "" for the workflow itself."""
        attempt = self.attempt(turn)
        this = None
        if step:
            this = self._tries.setdefault((turn, step, tries), Try(attempt, step, tries, False))
        with inside(attempt, this):
            emit(name, text=text)

    def flush(self, *turns: Turn) -> None:
        """What they have written is durable."""
        entries = [FlushEntry(turn) for turn in turns]
        for entry in entries:
            entry.turn.durable_seq = entry.seq
        self.subscribers.lineage = 77
        self.hub.written(Answer(77, AT, None, None, None, None), entries)

    def write(self, turn: Turn, event: Event = Event.VALUE_RECORDED, key: str = "k", data: bytes = b"{}") -> None:
        turn.write(event, key, data)
        self.flush(turn)

    def lose(self, *turns: Turn) -> None:
        """The partition is somebody else's; steps of these turns still run here."""
        owned = self.owned.pop(0)
        owned.is_void = True
        for turn in turns:
            turn.stop = Stop.HANDOVER
            steps: Any = Steps()
            turn.journal = steps
            self.live.pop(turn.turn_id)
        self.hub.gone([Loss(owned, list(turns), has_unread=False, is_taking_up=False)])

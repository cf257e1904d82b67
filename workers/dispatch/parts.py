"""Make the parts of a dispatch worker, and connect them to each other. Nothing is decided here."""

import asyncio
from collections.abc import Sequence

from argosy.clock import Clock
from argosy.config import Settings
from argosy.consuming.log_guard import LogGuard
from argosy.logs.topic import turns_topic
from argosy.rounds import Rounds, kept
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.accept.starts import Starts
from argosy.workers.dispatch.builds.abilities import Abilities
from argosy.workers.dispatch.builds.borrowing import Borrowing
from argosy.workers.dispatch.builds.lending import Lending
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.dispatcher import Dispatcher
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.execution.around import lane_graphs
from argosy.workers.dispatch.execution.attempts import Attempts
from argosy.workers.dispatch.execution.cancels import Cancels
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.execution.limits import threads_of
from argosy.workers.dispatch.execution.trials import Trials
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.inbox.delivery import Delivery
from argosy.workers.dispatch.inbox.in_hand import InHand
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.inbox.read_ahead import ReadAhead
from argosy.workers.dispatch.inbox.returned_shards import ReturnedShards
from argosy.workers.dispatch.loan_dispatcher import LoanDispatcher
from argosy.workers.dispatch.loop_monitor import LoopMonitor
from argosy.workers.dispatch.others import Others
from argosy.workers.dispatch.outside import Outside
from argosy.workers.dispatch.ownership.handover import Handover
from argosy.workers.dispatch.ownership.known_workers import KnownWorkers
from argosy.workers.dispatch.ownership.ownership import Ownership
from argosy.workers.dispatch.ownership.reading import Reading
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.partition_gauges import PartitionGauges
from argosy.workers.dispatch.poke import PokeService
from argosy.workers.dispatch.scheduling.histories import Histories
from argosy.workers.dispatch.scheduling.pager import Pager
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.services import Services
from argosy.workers.dispatch.store_monitor import StoreMonitor
from argosy.workers.dispatch.stream.frame_publisher import FramePublisher
from argosy.workers.dispatch.stream.hub import Hub
from argosy.workers.dispatch.stream.service import WatchService
from argosy.workers.dispatch.stream.subscribers import Subscribers
from argosy.workers.dispatch.tasks import Background
from argosy.workflow.catalog import Catalog


class Parts:
    """All parts of one worker. Made on the event loop, once per process.

    dispatcher: what the parts tell what happened, and which says what follows from it.
    """

    def __init__(self, settings: Settings, catalog: Catalog, outside: Outside, clock: Clock) -> None:
        self._settings = settings
        self._outside = outside
        self.clock = clock
        self.claims = Claims()
        self.background = Background(clock)
        self._rounds = Rounds("dispatcher", clock)
        self.dispatcher = Dispatcher(self._rounds, self.claims, self.background)
        self.dispatcher.reader = outside.reader
        self.loan_dispatcher = LoanDispatcher(self._rounds, self.claims, self.background)
        self.fleet = KnownWorkers(clock, outside.worker_id, settings.lane)
        self.database_clock = self.dispatcher.database_clock = DatabaseClock(clock)
        self.loop_monitor = LoopMonitor(clock, settings.loop_stuck_s)
        self.threads = threads_of(settings)
        self.scheduler = self.dispatcher.scheduler = Scheduler(settings.look_ahead_turns)
        self.elsewhere = Elsewhere()
        self._make_services()
        self._make_writing()
        self._make_execution(catalog)
        self._make_inbox()
        self._make_ownership()
        self._make_builds()

    # Records, and what is written

    def _make_writing(self) -> None:
        settings, outside, then = self._settings, self._outside, self.dispatcher
        self.flusher = Flusher(outside.flushes, self.clock, self.database_clock, settings, then)
        self.intake = then.intake = Intake(
            outside.accepts, outside.reader, self.scheduler, self.claims, self.clock, settings, then
        )
        self.starts = then.starts = Starts(outside.starts, self.intake, self.claims, self.clock, settings)

    # Turns in memory, and their code

    def _make_execution(self, catalog: Catalog) -> None:
        settings, outside, then = self._settings, self._outside, self.dispatcher
        histories = Histories(outside.heads, self.scheduler, self.clock, settings, then)
        self.pager = then.pager = Pager(
            outside.heads,
            self.scheduler,
            histories,
            self.elsewhere,
            self.clock,
            settings,
            then,
        )
        trials = Trials(self.flusher, self.database_clock, settings, then)
        self.admission = Admission(self.flusher, trials, settings)
        cancels = Cancels(self.scheduler, self.flusher, self.admission, self.database_clock, settings)
        attempts = Attempts(
            self.flusher,
            self.threads,
            self.frame_publisher,
            self.database_clock,
            settings,
            then,
            lane_graphs(outside.graphs, outside.uploads, settings),
        )
        self.executor = then.executor = Executor(
            self.scheduler, self.flusher, catalog, self.admission, cancels, attempts, then
        )

    # Rows that are addressed to turns

    def _make_inbox(self) -> None:
        settings, outside, then = self._settings, self._outside, self.dispatcher
        self.takeover = then.takeover = Takeover(
            outside.partitions, self.fleet, self.elsewhere, self.clock, settings, then
        )
        self.delivery = Delivery(
            self.scheduler,
            self.executor,
            self.flusher,
            self.takeover,
            self.elsewhere,
            InHand(settings.inbox_rows_max, self.scheduler),
            self.loan_dispatcher,
        )
        self.inbox = then.inbox = Inbox(
            outside.heads, self.scheduler, self.claims, self.delivery, self.clock, settings, then
        )
        self.ahead = then.ahead = ReadAhead(
            outside.heads, self.scheduler, self.elsewhere, self.claims, self.clock, then
        )
        self.returned_shards = ReturnedShards(outside.heads, self.claims, self.clock, settings, then)
        if outside.graphs is not None:
            outside.graphs.follow_shards(self.returned_shards.returned)

    # Other processes

    def _make_services(self) -> None:
        settings, outside, then = self._settings, self._outside, self.dispatcher
        self.others = then.others = Others(
            outside.poker, outside.pool, self.fleet, settings.lane, outside.server.address, then
        )
        subscribers = Subscribers()
        self.frame_publisher = FramePublisher(
            subscribers, self.clock, self.database_clock, coalesce_s=settings.watch_coalesce_ms / 1000
        )
        self.hub = then.hub = Hub(
            subscribers, self.frame_publisher, self.claims, self.fleet, self.scheduler, self.elsewhere, settings
        )
        streams_max = settings.watch_streams_max
        self.services = Services(
            outside.server,
            PokeService(then, streams_max=streams_max),
            WatchService(self.hub, streams_max=streams_max, size_bytes_max=settings.watch_buffer_size_bytes_max),
            self.others,
        )

    # Partitions

    def _make_ownership(self) -> None:
        settings, outside, then = self._settings, self._outside, self.dispatcher
        self.log_guard = then.log_guard = LogGuard(
            outside.reader,
            outside.lane_logs,
            self.clock,
            worker_id=outside.worker_id,
            topic=turns_topic(settings),
            ttl_s=settings.heartbeat_ttl_s,
        )
        self.reading = Reading(
            outside.partitions,
            outside.reader,
            self.intake,
            self.claims,
            self.log_guard,
            self.clock,
            database_clock=self.database_clock,
        )
        self.ownership = then.ownership = Ownership(
            outside.partitions,
            self.reading,
            self.claims,
            self.fleet,
            self.clock,
            settings,
            then,
        )
        self.handover = then.handover = Handover(
            outside.partitions, self.flusher, self.takeover, self.background, self.clock, settings, then
        )
        self.store_monitor = StoreMonitor(
            outside.reader, self.flusher, self.intake, self.admission, self.executor, self.clock, settings
        )
        self.gauges = PartitionGauges(
            outside.pool,
            settings.lane,
            self.scheduler,
            self.clock,
            self.claims,
            measure_s=settings.partition_measure_s,
        )

    # Turns of other builds

    def _make_builds(self) -> None:
        settings, outside, loans = self._settings, self._outside, self.loan_dispatcher
        loans.scheduler, loans.pager, loans.executor = self.scheduler, self.pager, self.executor
        loans.inbox, loans.hub, loans.others = self.inbox, self.hub, self.others
        abilities = Abilities(outside.builds, outside.worker_id, settings.lane, self.fleet)
        self.lending = self.dispatcher.lending = Lending(
            outside.loans, abilities, self.elsewhere, self.admission, self.clock, settings, loans
        )
        self.borrowing = self.dispatcher.borrowing = Borrowing(
            outside.loans, self.scheduler, self.inbox, self.claims, self.clock, settings, loans
        )

    def loops(self) -> Sequence[asyncio.Task[None]]:
        """Start the loops that run until the worker ends, one task each."""
        parts = (
            self.flusher, self.pager, self.inbox, self.ahead, self.returned_shards, self.intake, self.starts,
            self.takeover, self.ownership, self.store_monitor, self.lending, self.borrowing, self.gauges,
            self.loop_monitor, self.background,
        )  # fmt: skip
        return [asyncio.create_task(kept(type(part).__name__.lower(), part.run, self.clock)) for part in parts]

    async def close(self) -> None:
        """Close the connections, all at the same time: each may wait a while for a peer that is away.

        Raises the first error, once all are closed.
        """
        outside = self._outside
        closing = [part.close() for part in (outside.reader, self.services, outside.accepts, outside.flushes)]
        if outside.uploads is not None:
            closing.append(outside.uploads.close())
        closed = await asyncio.gather(*closing, return_exceptions=True)
        self.threads.close()
        for each in closed:
            if each is not None:
                raise each

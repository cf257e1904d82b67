"""Make the parts of a dispatch worker, and connect them to each other. Nothing is decided here."""

import asyncio
import uuid
from collections.abc import Collection, Sequence

import structlog

from argosy import ids, telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.log import LogReader
from argosy.logs.open import open_reader
from argosy.rounds import Rounds, kept
from argosy.store.build import Builds, Loans
from argosy.store.head import Head, Heads, LoadedTurn
from argosy.store.lane_log import LaneLogs
from argosy.store.numbered_stream import Answer, NumberedStream
from argosy.store.partition import Partitions
from argosy.store.pool import Pool
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.builds.abilities import Abilities
from argosy.workers.dispatch.builds.borrowing import Borrowing, Taken
from argosy.workers.dispatch.builds.lending import Lending, Told
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.exchange import Exchange
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.execution.limits import limits_of, threads_of
from argosy.workers.dispatch.flush.batch import Placement
from argosy.workers.dispatch.flush.bounds import bounds_of
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.life import Member
from argosy.workers.dispatch.loop_watch import LoopWatch
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.ownership.handover import Handover
from argosy.workers.dispatch.ownership.log_guard import LogGuard
from argosy.workers.dispatch.ownership.ownership import Ownership
from argosy.workers.dispatch.ownership.reading import Reading
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.partition_gauges import PartitionGauges
from argosy.workers.dispatch.scheduling.histories import Bounds, Histories
from argosy.workers.dispatch.scheduling.pager import Pager
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.store_watch import StoreWatch
from argosy.workers.dispatch.tasks import Background
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.catalog import Catalog

log = structlog.get_logger()
_ACCEPTS, _FLUSHES = 1, 2
_POLL_SHARE_MIN = 0.1  # a worker with a smaller share of the partitions polls as if it owned this much


class Parts:
    """All parts of one worker. Made on the event loop, once per process."""

    def __init__(self, settings: Settings, dsn: str, catalog: Catalog, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self.worker_id = uuid.uuid4()
        self.owned: dict[int, Owned] = {}
        self.partition_count = 0
        self.clock = SystemClock()
        self.rounds = Rounds("wires", self.clock)
        self.database_clock = DatabaseClock(self.clock)
        self.loop_watch = LoopWatch(self.clock, settings.loop_stuck_s)
        self.background = Background(self.clock)
        self.threads = threads_of(settings)
        self.reader: LogReader = open_reader(settings, dsn, self.clock)
        self.accepts = NumberedStream(dsn, self.worker_id, _ACCEPTS, timeout_s=settings.flush_timeout_s)
        self.flushes = NumberedStream(dsn, self.worker_id, _FLUSHES, timeout_s=settings.flush_timeout_s)
        self.exchange = Exchange(
            settings,
            pool,
            self.clock,
            self.database_clock,
            self.worker_id,
            owned=self.owned,
            on_inbox=self._poked,
            on_signalled=lambda turns: self.inbox.ahead.poke(turns),
            on_log=lambda: self.reader.wake(),
            on_claimed=lambda partitions: self.ownership.claimed_by_others(partitions),
            running=lambda turn_id: self.scheduler.live.get(turn_id),
            running_of=lambda session_id: self.scheduler.head_of(session_id),
            held=lambda: self.takeover.held,
            address_of=lambda worker_id: self.ownership.fleet.address_of(worker_id),
            partition_of=self._partition_of,
        )
        self.others, self.hub = self.exchange.others, self.exchange.hub
        self.partitions = Partitions(pool, self.worker_id, self.exchange.address, settings.lane)
        self.heads = Heads(
            pool,
            settings.lane,
            input_size_bytes_max=settings.head_input_size_bytes_max,
            load_size_bytes_max=settings.load_size_bytes_max,
        )
        self._make_execution(catalog, self.heads)
        self._make_ownership()
        self._make_builds()

    def _make_execution(self, catalog: Catalog, heads: Heads) -> None:
        settings = self._settings
        self.scheduler = Scheduler(settings.look_ahead_turns)
        self.flusher = Flusher(
            self.flushes,
            settings.lane,
            self.clock,
            bounds_of(settings),
            word_s=settings.heartbeat_ttl_s / 3,
            on_written=self._written,
            on_moved=lambda inbox_ids: self.inbox.moved(inbox_ids),
            on_placed=self._placed,
            on_refused=self._refused,
            on_answer=self._answered,
            on_timers=lambda due_s: self.inbox.expect(due_s),
            on_events=self.hub.written,
        )
        self.takeover = Takeover(
            self.partitions,
            self.clock,
            note_s=settings.handover_note_s,
            bound_s=settings.handover_s,
            cancel_s=settings.cancel_cleanup_s,
            is_living=lambda worker_id: self.ownership.fleet.is_living(worker_id),
            ask=lambda partitions_of: self.others.ask(partitions_of, self.ownership.fleet.address_of),
            on_open=self._opened,
            on_released=self._released,
        )
        histories = Histories(
            heads,
            self.clock,
            Bounds(settings.history_size_bytes_max, settings.loaded_size_bytes_max),
            begin=lambda turn: self.executor.begin(turn),
            set_aside=lambda turn, why: self.executor.set_aside(turn, why),
            loaded_size_bytes=lambda: sum(each.history_bytes for each in self.scheduler.live.values()),
        )
        self.pager = Pager(
            heads,
            self.scheduler,
            self.clock,
            look_ahead_turns=settings.look_ahead_turns,
            ready_sessions_max=settings.ready_sessions_max,
            is_held=lambda turn_id: self.takeover.is_held(turn_id) or self.lending.is_lent(turn_id),
            on_lent=self._found_lent,
            histories=histories,
            on_ready=lambda: self.executor.fill(),
        )
        self.executor = Executor(
            self.scheduler,
            self.flusher,
            catalog,
            self.threads,
            slots=settings.dispatch_slots,
            flush_queue_max=settings.flush_queue_max,
            limits=limits_of(settings),
            database_time_s=self.database_clock.now_s,
            load=self.pager.load,
            again=lambda turn: self.inbox.again(turn),
            read_anew=self._read_anew,
            on_freed=self._moved_on,
            on_lacking=lambda turn: self.lending.lacks(turn),
            listener_of=self.hub.listener_of,
            is_watched=self.hub.is_watched,
            say=self.rounds.say,
        )
        self.inbox = Inbox(
            heads,
            self.scheduler,
            self.executor,
            self.flusher,
            self.pager,
            self.takeover,
            self.clock,
            owned=self.owned,
            partition_of=self._partition_of,
            interval_s=self._inbox_interval_s,
            rows_max=settings.inbox_rows_max,
            size_bytes_max=settings.inbox_size_bytes_max,
            is_lent=lambda turn_id: self.lending.is_lent(turn_id),
            on_lent=lambda turn_id: self.lending.row_came(turn_id),
        )

    def _make_ownership(self) -> None:
        settings = self._settings
        self.intake = Intake(
            self.accepts,
            self.reader,
            self.scheduler,
            self.clock,
            lane=settings.lane,
            owned=self.owned,
            batch_max=settings.log_batch_max,
            batch_size_bytes_max=settings.log_batch_size_bytes_max,
            ready_sessions_max=settings.ready_sessions_max,
            head_input_size_bytes_max=settings.head_input_size_bytes_max,
            restart=lambda owned: self.reading.restart(owned),
            on_entered=self.pager.entered,
            on_accepted=self._moved_on,
            on_lost=lambda owned: self.ownership.lost(owned),
            on_answer=self._answered,
            on_settled=self.hub.look,
        )
        self.log_guard = LogGuard(
            self.reader,
            LaneLogs(self._pool, settings.lane),
            self.clock,
            worker_id=self.worker_id,
            topic=settings.topic,
            ttl_s=settings.heartbeat_ttl_s,
        )
        self.reading = Reading(
            self.partitions,
            self.reader,
            self.intake,
            self.log_guard,
            self.clock,
            database_time_s=self.database_clock.now_s,
        )
        self.ownership = Ownership(
            self.partitions,
            self.reading,
            self.clock,
            worker_id=self.worker_id,
            lane=settings.lane,
            owned=self.owned,
            interval_s=settings.reconcile_interval_s,
            on_claimed=self.takeover.begin,
            on_void=self._void,
        )
        self.handover = Handover(
            self.partitions,
            self.flusher,
            self.clock,
            self.background,
            self.worker_id,
            bound_s=settings.handover_s,
            size_bytes_max=settings.flush_size_bytes_max,
            until_known=self.takeover.until_known,
            held_of=self.takeover.forget,
            has_unread=self.pager.has_unread,
            is_taking_up=lambda owned: self.pager.is_taking_up(owned) or self.takeover.has_doubts(owned),
            on_done=self._handed_over,
            on_told=lambda turn: self.background.spawn(self.others.tell(turn)),
        )
        self.store_watch = StoreWatch(
            self.reader,
            self.executor,
            self.clock,
            bound_s=settings.owner_lost_s,
            stalled_s=lambda: max(self.flusher.stalled_s, self.intake.stalled_s),
        )
        self.gauges = PartitionGauges(self._pool, settings.lane, self.scheduler, self.clock, owned=self.owned)

    def _make_builds(self) -> None:
        settings, worker_id, lane = self._settings, self.worker_id, self._settings.lane
        builds = Builds(self._pool)
        loans = Loans(self._pool, worker_id, lane, input_size_bytes_max=settings.head_input_size_bytes_max)
        self.lending = Lending(
            builds,
            loans,
            Abilities(builds, worker_id, lane, members=lambda: self.ownership.fleet.all),
            self.clock,
            Told(
                set_apart=self.inbox.set_apart,
                release=self._released_rows,
                left=self.scheduler.left,
                more=self._more,
                take_up=lambda turn_id, owned, resume: self.background.spawn(
                    self.pager.take_up(turn_id, owned, resume)
                ),
                look_at_heads=self._looked_for,
                park=self.executor.park,
                poke=lambda each, buckets: self.others.poke(each, self.ownership.fleet.address_of(each), buckets),
                happened=self.hub.look,
            ),
            is_living=lambda each: self.ownership.fleet.is_living(each),
            may_lend=lambda owned: not (owned.is_closing or self.executor.is_draining or self.executor.is_cut_off),
            wait_s=settings.build_wait_s,
            lent_max=settings.lent_turns_max,
        )
        self.borrowing = Borrowing(
            loans,
            self.clock,
            Taken(
                found=self.scheduler.found,
                entered=self.pager.entered,
                take=self.inbox.take_borrowed,
                hold=self.inbox.hold,
                known=self.inbox.known,
                release=self.inbox.moved,
                fill=self.executor.fill,
                tell=lambda buckets: self.background.spawn(self.others.tell_owners(buckets, self._partition_of)),
            ),
            turns_max=settings.dispatch_slots,
            partition_of=self._partition_of,
        )

    # What the parts tell each other

    def members(self, members: list[Member]) -> None:
        self.ownership.members(members)
        self.lending.poke()

    def _poked(self, buckets: Sequence[int]) -> None:
        """Hear a poke: rows are due in these buckets, or turns were lent or came back.

        A bucket that another worker owns concerns the turns that this worker borrows.
        """
        mine = sum(self._partition_of(each) in self.owned for each in buckets) if self.partition_count else 0
        if mine:
            self.inbox.poke()
            self.lending.poke()
        if self.borrowing.turns or mine < len(buckets):
            self.borrowing.poke()

    def _written(self, turns: list[Turn]) -> None:
        self.executor.written(turns)
        self.borrowing.written(turns)

    def _found_lent(self, row: Head | LoadedTurn, owned: Owned) -> None:
        if row.lent_to is not None:
            self.lending.found(row.turn_id, row.session_id, row.bucket, row.lent_to, owned)

    def _released_rows(self, inbox_ids: Collection[uuid.UUID]) -> None:
        self.inbox.moved(inbox_ids)
        self.inbox.poke()

    def _more(self, session_id: uuid.UUID, bucket: int, owned: Owned) -> None:
        self.scheduler.more(session_id, bucket, owned)
        self.pager.nudge()
        self.inbox.poke()

    def _looked_for(self, owned: list[Owned]) -> None:
        self.pager.claimed(owned)
        self.pager.nudge()

    def _answered(self, answer: Answer) -> None:
        self.database_clock.heard(answer.at)

    def _moved_on(self) -> None:
        """Fill slots and read on, after turns came or slots became free."""
        self.pager.nudge()
        self.executor.fill()
        self.intake.balance()
        telemetry.RUNNING.set(self.executor.running)
        telemetry.READY_SESSIONS.set(self.scheduler.ready_count)

    def _inbox_interval_s(self) -> float:
        """Seconds between two polls of the inbox: the smaller a worker's share of the partitions, the longer."""
        share = len(self.owned) / max(1, self.partition_count)
        return self._settings.inbox_interval_s / max(share, _POLL_SHARE_MIN)

    def _partition_of(self, bucket: int) -> int:
        return ids.partition_of(bucket, self.partition_count)

    def _placed(self, placements: list[Placement]) -> None:
        self.inbox.placed(placements)
        for each in placements:
            with self.rounds.outlive(turn_id=str(each.turn_id)):
                self.hub.look(each.turn_id, each.session_id)

    def _handed_over(self, turn: Turn) -> None:
        self.executor.handed_over(turn)
        with self.rounds.outlive(turn_id=str(turn.turn_id)):
            self.hub.done(turn)

    def _opened(self, opened: list[Owned]) -> None:
        with self.rounds.outlive():
            self.hub.opened(opened)
        self.pager.claimed(opened)
        self.inbox.poke()

    def _released(self, turn_id: uuid.UUID, owned: Owned, resume: Resume) -> None:
        telemetry.HANDOVERS.labels(outcome=resume.value).inc()
        self.background.spawn(self.pager.take_up(turn_id, owned, resume))
        self.inbox.poke()  # rows that stayed due while the turn was held can be taken now

    def _refused(self, turns: list[Turn], lost: list[Owned]) -> None:
        for turn in turns:
            telemetry.TURNS_REFUSED.inc()
            if not turn.owned.is_void:
                log.warning(telemetry.TURN_REFUSED, turn_id=str(turn.turn_id), status=turn.status)
                self.executor.dropped(turn)
                self._read_anew(turn)
        if lost:
            self.ownership.lost(lost)
        self.pager.nudge()

    def _read_anew(self, turn: Turn) -> None:
        """Drop a turn from memory and read it again, alone: what Postgres has of it is right.

        Its code was broken off here, which does not count as a crash. Inbox rows that it had in hand are due as before.
        A borrowed turn goes back to its owner instead.
        """
        self.scheduler.left(turn)
        self.inbox.moved([*turn.moves, *turn.seen, *turn.deferred])
        if turn.owned.is_lent:
            self.borrowing.refused(turn)
            return
        self.scheduler.more(turn.session_id, turn.bucket, turn.owned)
        self.background.spawn(self.pager.take_up(turn.turn_id, turn.owned, Resume.UNHEARD))
        self.pager.nudge()
        self.inbox.poke()

    def _void(self, gone: list[Owned]) -> None:
        parts = [(owned, self.scheduler.void(owned)) for owned in gone]
        self.handover.begin(parts)
        with self.rounds.outlive():
            self.hub.gone(parts)
        for owned in gone:
            self.executor.forget(owned)
            self.inbox.void(owned)
            self.pager.void(owned)
            self.lending.void(owned)

    def loops(self) -> Sequence[asyncio.Task[None]]:
        """Start the loops that run until the worker ends, one task each."""
        parts = (
            self.flusher, self.pager, self.inbox, self.intake, self.takeover, self.ownership, self.store_watch,
            self.lending, self.borrowing, self.gauges, self.loop_watch, self.background,
        )  # fmt: skip
        return [asyncio.create_task(kept(type(part).__name__.lower(), part.run, self.clock)) for part in parts]

    async def close(self) -> None:
        """Close the connections, all at the same time: each may wait a while for a peer that is away.

        Raises the first error, once all are closed.
        """
        parts = (self.reader, self.exchange, self.accepts, self.flushes)
        closed = await asyncio.gather(*(part.close() for part in parts), return_exceptions=True)
        self.threads.close()
        for each in closed:
            if each is not None:
                raise each

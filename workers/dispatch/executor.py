"""Runs turns: from a picked head to a written end, and what happens once the end is durable.

Rules:
- A turn holds a slot from `start` until its end, its suspension or its parking is durable (or its partition is lost).
- Only after that its session's next turn starts and inbox rows that met its last flush are looked at again.
- A turn that was running when its owner died runs again with a higher attempt, and says so first (turn.reset).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor as Threads

import msgspec
import structlog

from argosy import crash_points, telemetry
from argosy.errors import OwnershipLostError, StepFailedError
from argosy.turn.events import Event
from argosy.turn.status import ENDED, Status
from argosy.workflow.catalog import Catalog
from argosy.workflow.definition import Workflow
from argosy.workflow.execute import execute
from argosy.workflow.journal import Park
from workers.dispatch.flusher import Flusher
from workers.dispatch.journal import TurnJournal
from workers.dispatch.scheduler import Scheduler
from workers.dispatch.turn import Owned, Stop, Turn
from workers.dispatch.waits import mismatch

log = structlog.get_logger()

_MESSAGE_CHARACTERS_MAX = 2_000


class Executor:
    """Starts what the scheduler picks while there are slots. `load` reads a turn's history, then calls `begin`."""

    def __init__(
        self,
        scheduler: Scheduler,
        flusher: Flusher,
        catalog: Catalog,
        threads: Threads,
        *,
        slots: int,
        flush_queue_max: int,
        payload_size_bytes_max: int,
        step_timeout_s_max: float,
        events_max: int,
        database_time_s: Callable[[], float],
        load: Callable[[Turn], None],
        again: Callable[[Turn], None],
        on_freed: Callable[[], None],
    ) -> None:
        self._scheduler = scheduler
        self._flusher = flusher
        self._catalog = catalog
        self._threads = threads
        self._slots = slots
        self._flush_queue_max = flush_queue_max
        self._payload_size_bytes_max = payload_size_bytes_max
        self._step_timeout_s_max = step_timeout_s_max
        self._events_max = events_max
        self._database_time_s = database_time_s
        self._load = load
        self._again = again
        self._on_freed = on_freed
        self._running: set[Turn] = set()
        self._count_ended = {status: telemetry.ENDED.labels(status=status.value).inc for status in ENDED}
        self.is_draining = False

    @property
    def running(self) -> int:
        return len(self._running)

    def fill(self) -> None:
        """Start heads while slots are free."""
        if self.is_draining:
            return
        while len(self._running) < self._slots and self._flusher.waiting < self._flush_queue_max:
            turn = self._scheduler.pick()
            if turn is None:
                return
            self._running.add(turn)
            if turn.needs_load:
                self._load(turn)
            else:
                self.begin(turn)

    def begin(self, turn: Turn) -> None:
        """Everything of the turn is in memory: run it, unless something ended it meanwhile."""
        if turn not in self._running:
            return
        if not turn.is_live or turn.has_ended:
            self.dropped(turn)
            if turn.is_refused and not turn.owned.is_void:
                # Postgres does not have it as memory did: what it has of the session is read again.
                self._scheduler.left(turn)
                self._scheduler.more(turn.session_id, turn.bucket, turn.owned)
            return
        definition = self._catalog.get(turn.workflow, turn.version)
        if definition is None:
            self._park_before_start(turn)
            return
        self._mark_start(turn, definition)
        journal = turn.journal = TurnJournal(
            turn,
            self._flusher,
            database_time_s=self._database_time_s,
            events_max=self._events_max,
            on_quiet=self.suspend,
        )
        self._flusher.add_lazily(turn)
        turn.task = asyncio.create_task(self._run(turn, definition, journal))

    def stop(self, turn: Turn, why: Stop) -> None:
        """Cancel a running turn's task; what it becomes is decided by why."""
        if turn.stop is None and turn.task is not None:
            turn.stop = why
            turn.task.cancel()

    def suspend(self, turn: Turn) -> None:
        """Nothing but waits is left: write them, free everything."""
        journal: TurnJournal = turn.journal
        if turn.stop is not None or not turn.is_live or turn.status is not Status.RUNNING:
            return
        if unasked := journal.unasked():
            self._park(turn, mismatch(unasked[0], f"a wait ({', '.join(journal.waits)})"))
        else:
            turn.become(Status.SUSPENDED)
            turn.waits = journal.written_waits()
            _keep(turn)
            turn.write(Event.TURN_SUSPENDED)
        self._flusher.add(turn)
        self.stop(turn, Stop.SUSPEND)

    def written(self, turns: list[Turn]) -> None:
        """A flush with these turns is durable."""
        is_freed = False
        for turn in turns:
            if turn.written_status in (Status.RUNNING, Status.QUEUED) or turn.is_queued_to_flush:
                continue
            self._settled(turn)
            is_freed = True
        if is_freed:
            self._on_freed()

    def end(self, turn: Turn, status: Status, event: Event) -> None:
        """End a turn that is not running: it was cancelled, or its deadline passed."""
        self._end(turn, status, event)
        self._flusher.add(turn)

    def dropped(self, turn: Turn) -> None:
        """The turn is not ours any more, or ended without running: its slot is free."""
        self._running.discard(turn)
        self.stop(turn, Stop.DROP)
        self._on_freed()

    def forget(self, owned: Owned) -> None:
        """A partition was lost: the slots of its turns are free."""
        self._running = {turn for turn in self._running if turn.owned is not owned}
        self._on_freed()

    def _settled(self, turn: Turn) -> None:
        crash_points.reach("before_settle_seen")
        ran = turn in self._running
        self._running.discard(turn)
        if turn.has_ended:
            self._count_ended[turn.status]()
            if ran:
                self._scheduler.ended(turn)
            else:
                self._scheduler.removed(turn)
        else:
            self._scheduler.left(turn)
        turn.journal = None
        if turn.deferred:
            self._again(turn)

    async def _run(self, turn: Turn, definition: Workflow, journal: TurnJournal) -> None:
        try:
            result = await execute(
                definition,
                journal,
                turn.input or b"null",
                threads=self._threads,
                payload_size_bytes_max=self._payload_size_bytes_max,
                step_timeout_s_max=self._step_timeout_s_max,
            )
            if turn.stop is None:
                if unasked := journal.unasked():
                    self._park(turn, mismatch(unasked[0], "nothing more, it returned"))
                else:
                    turn.result = result
                    self._end(turn, Status.COMPLETED, Event.TURN_COMPLETED)
        except Park as park:
            if turn.stop is None:
                self._park(turn, park)
        except OwnershipLostError:
            turn.stop = turn.stop or Stop.DROP
        except asyncio.CancelledError:
            if turn.stop is None:
                self._fail(turn, "CancelledError", "the workflow cancelled itself")
        except BaseException as error:  # the edge of user code: whatever it raises ends the turn, never the worker
            if turn.stop is None:
                kind = error.error_type if isinstance(error, StepFailedError) else type(error).__name__
                self._fail(turn, kind, _words_of(error))
        self._stopped(turn)
        if turn.is_live and turn.stop not in (Stop.DROP, Stop.SUSPEND):
            self._flusher.add(turn)

    def _stopped(self, turn: Turn) -> None:
        if turn.stop is Stop.CANCEL:
            self._end(turn, Status.CANCELLED, Event.TURN_CANCELLED)
        elif turn.stop is Stop.EXPIRE:
            self._end(turn, Status.EXPIRED, Event.TURN_EXPIRED)

    def _mark_start(self, turn: Turn, definition: Workflow) -> None:
        if turn.status is Status.QUEUED:
            turn.become(Status.RUNNING)
            turn.attempt += 1
            turn.version = definition.version
            turn.write(Event.TURN_STARTED)
        elif turn.status is Status.SUSPENDED:
            turn.become(Status.RUNNING)
            turn.write(Event.TURN_RESUMED)
        else:
            if turn.status is Status.PARKED:
                turn.become(Status.RUNNING)
                turn.reason = turn.error = None
            else:
                turn.crashes += 1
            turn.attempt += 1
            turn.write(Event.TURN_RESET, data=b'{"from_seq":%d}' % (turn.seq + 1))

    def _end(self, turn: Turn, status: Status, event: Event, data: bytes = b"{}") -> None:
        turn.become(status)
        turn.waits = None
        turn.write(event, data=data)
        for signal in turn.signals:
            turn.moves[signal.inbox_id] = "late"
        for inbox_id in turn.fired.values():
            turn.moves[inbox_id] = "deleted"
        for wait in turn.journal.waits.values() if turn.journal is not None else ():
            if wait.timer_id is not None:
                turn.moves.setdefault(wait.timer_id, "deleted")

    def _fail(self, turn: Turn, kind: str, message: str) -> None:
        turn.error = msgspec.json.encode({"type": kind, "message": message[:_MESSAGE_CHARACTERS_MAX]})
        self._end(turn, Status.FAILED, Event.TURN_FAILED, turn.error)

    def _park(self, turn: Turn, park: Park) -> None:
        log.warning(telemetry.TURN_PARKED, turn_id=str(turn.turn_id), reason=park.reason, message=park.message)
        telemetry.PARKED.labels(reason=park.reason).inc()
        turn.become(Status.PARKED)
        turn.reason = park.reason
        turn.waits = None
        detail = msgspec.json.encode({"reason": park.reason, "message": park.message[:_MESSAGE_CHARACTERS_MAX]})
        turn.error = detail
        turn.write(Event.TURN_PARKED, park.key, detail)
        _keep(turn)

    def _park_before_start(self, turn: Turn) -> None:
        known = self._catalog.get(turn.workflow, None)
        if known is None:
            park = Park("unknown_workflow", f"this worker does not have the workflow {turn.workflow!r}")
        else:
            park = Park(
                "no_compatible_build",
                f"the turn began with {turn.workflow!r} version {turn.version!r}; "
                f"this worker has version {known.version!r}",
            )
        if turn.status is Status.PARKED:
            self.dropped(turn)
            self._scheduler.left(turn)
            return
        self._park(turn, park)
        self._flusher.add(turn)


def _keep(turn: Turn) -> None:
    """Signals and timers that nobody has taken yet wait in Postgres until the turn goes on."""
    for inbox_id in (*(signal.inbox_id for signal in turn.signals), *turn.fired.values()):
        turn.moves.setdefault(inbox_id, "buffered")


def _words_of(error: BaseException) -> str:
    """What an error of user code says: whatever that is, it can be written."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # its own __str__ is broken
        return "the error has no message that can be read"

"""Changes a turn in memory when it starts, goes on, ends, suspends or parks; the next flush writes the change."""

import asyncio

import msgspec
import structlog

from argosy import telemetry
from argosy.errors import OwnershipLostError, StepFailedError
from argosy.turn.events import KEYS, SETTLED_OUTCOMES, Event
from argosy.turn.inbox import Fate
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.signals import NO_SIGNALS
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.frames import kind_of, traceback_of, words_of
from argosy.workflow.journal import Park
from argosy.workflow.outcome import extended, with_channels

log = structlog.get_logger()

_MESSAGE_CHARACTERS_MAX = 2_000  # as in workflow/frames.py: an event of an error stays below 5 KB


class _Failure(msgspec.Struct, omit_defaults=True):
    type: str
    message: str
    traceback: str = ""


def start(turn: Turn, version: str | None) -> None:
    """Begin the turn, or let it go on. A parked turn begins again (turn.reset), and so does a running one, unless its
    owner handed it over.

    A turn that was found running runs no code before Postgres has applied a flush of it from this worker: this process
    may have read the turn under a claim that is gone, then been stopped for long, while the new owner runs the turn.
    """
    if turn.found_running_seq is not None:
        turn.await_start()
    if turn.status is Status.QUEUED:
        turn.become(Status.RUNNING)
        turn.begin_attempt()
        turn.write(Event.TURN_STARTED, data=b"{" + KEYS)
    elif turn.status is Status.SUSPENDED:
        turn.become(Status.RUNNING)
        turn.write(Event.TURN_RESUMED, data=b"{" + KEYS)
    elif turn.status is Status.RUNNING and turn.resume is Resume.MOVED:
        turn.take_over()
    else:
        if turn.status is Status.PARKED:
            turn.become(Status.RUNNING)
            turn.pardon()  # an operator resumed it
        turn.begin_attempt()
        turn.write(Event.TURN_RESET, data=b'{"from_seq":%d,%b' % (turn.seq + 1, KEYS))
    turn.run_version(version)  # a turn that was parked before it began has none yet
    if turn.results:
        take_results(turn)


def take_results(turn: Turn) -> None:
    """Record the outcomes of a former owner's steps before the code asks for them. What history has is late."""
    settled, taken = {row[3] for row in turn.history if row[2] in SETTLED_OUTCOMES}, []
    for result in turn.results:
        if result.key in settled:
            turn.move(result.inbox_id, Fate.LATE)
            continue
        turn.write(Event(result.type), result.key, result.data)
        turn.progress()
        taken.append((turn.seq, turn.attempt, result.type, result.key, result.data))
        turn.move(result.inbox_id, Fate.CONSUMED)
        if result.type in SETTLED_OUTCOMES:
            settled.add(result.key)
    turn.remember(taken)


def suspend(turn: Turn) -> None:
    """Suspend the turn, with what it waits for and what it has emitted."""
    turn.become(Status.SUSPENDED)
    turn.note_waited()
    turn.wait_for(turn.open_journal.written_waits())
    keep_rows(turn)
    emitted = b"" if turn.channels is None else turn.channels.suspended()
    turn.write(Event.TURN_SUSPENDED, data=extended(b"{}", emitted))


def end(turn: Turn, status: Status, event: Event, data: bytes = b"{}") -> None:
    """End the turn. The flush of this also closes its timers and inbox rows that memory does not know (flush.sql)."""
    turn.end(status)
    if status is Status.CANCELLED and turn.cancel_id is not None:
        turn.move(turn.cancel_id, Fate.CONSUMED)
    turn.write(event, data=_with_channels(turn, data))
    if turn.signals is not NO_SIGNALS:
        for signal in turn.signals:
            turn.move(signal.inbox_id, Fate.LATE)
    for result in turn.results:
        turn.move_if_new(result.inbox_id, Fate.LATE)
    for inbox_id in turn.fired.values():
        turn.move(inbox_id, Fate.DELETED)
    if turn.journal is not None:
        for wait in turn.journal.open_waits():
            if wait.timer_id is not None:
                turn.drop_timer(wait.timer_id)


def end_at_rest(turn: Turn, status: Status, event: Event) -> None:
    """End a turn of which nothing runs: it was cancelled, or its deadline passed."""
    end(turn, status, event, turn.error if turn.cancel_until_s and turn.error else b"{}")


def come_to(turn: Turn, result: bytes | None, error: BaseException | None) -> None:
    """Settle a turn whose code has ended by itself, with its result (JSON) or with an error."""
    if isinstance(error, OwnershipLostError):
        turn.stop_as(Stop.DROP)
    elif error is not None:
        _raised(turn, error)
    else:
        _completed(turn, result)


def _completed(turn: Turn, result: bytes | None) -> None:
    """Complete the turn; or end its clean-up, whose result does not count."""
    if turn.open_journal.knows_of_cancel:
        cleaned_up(turn)
        return
    turn.succeed(result)
    end(turn, Status.COMPLETED, Event.TURN_COMPLETED)


def _raised(turn: Turn, error: BaseException) -> None:
    """Settle a turn whose code has raised, or cannot go on."""
    is_park = isinstance(error, Park)
    if turn.open_journal.knows_of_cancel or (is_park and turn.cancel_until_s is not None):
        cleaned_up(turn, error)
    elif isinstance(error, Park):
        park(turn, error)
    elif isinstance(error, asyncio.CancelledError):
        fail(turn, asyncio.CancelledError("the workflow cancelled itself"))
    else:
        fail(turn, error)


def stopped(turn: Turn) -> None:
    """Settle a turn whose code was stopped from outside, by turn.stop."""
    if turn.stop is Stop.CANCEL:
        cancelled(turn)
    elif turn.stop is Stop.EXPIRE:
        end(turn, Status.EXPIRED, Event.TURN_EXPIRED)


def cleaned_up(turn: Turn, error: BaseException | None = None) -> None:
    """End a cancelled turn. error: what its code raised; anything but CancelledError is a failure of the clean-up."""
    if error is None or isinstance(error, asyncio.CancelledError):
        telemetry.CLEANUPS.labels(outcome="done").inc()
        cancelled(turn)
        return
    failure = _failure_of(error)
    telemetry.CLEANUPS.labels(outcome="failed").inc()
    _say(telemetry.CLEANUP_FAILED, turn, failure)
    turn.blame(msgspec.json.encode(failure))
    cancelled(turn)


def cancelled(turn: Turn) -> None:
    """End the turn as cancelled. turn.error: why its clean-up failed, if it did."""
    end(turn, Status.CANCELLED, Event.TURN_CANCELLED, turn.error or b"{}")


def _failure_of(error: BaseException) -> _Failure:
    """Return the error and where in user code it came from; of a private step, only that it failed."""
    if isinstance(error, Park):
        return _Failure(error.reason, error.message[:_MESSAGE_CHARACTERS_MAX])
    if not isinstance(error, StepFailedError):
        return _Failure(kind_of(error), words_of(error)[:_MESSAGE_CHARACTERS_MAX], traceback_of(error))
    if error.is_private:
        return _Failure(kind_of(error), "a private step failed")
    return _Failure(error.error_type, words_of(error)[:_MESSAGE_CHARACTERS_MAX], traceback_of(error))


def _say(event: str, turn: Turn, failure: _Failure) -> None:
    log.warning(
        event,
        turn_id=str(turn.turn_id),
        workflow=turn.workflow,
        type=failure.type,
        message=failure.message,
        traceback=failure.traceback,
    )


def fail(turn: Turn, error: BaseException) -> None:
    """End the turn as failed."""
    failure = _failure_of(error)
    if not isinstance(error, StepFailedError):  # a step's error was logged when the step failed
        _say(telemetry.TURN_FAILED, turn, failure)
    error_bytes = msgspec.json.encode(failure)
    turn.blame(error_bytes)
    end(turn, Status.FAILED, Event.TURN_FAILED, error_bytes)


def park(turn: Turn, why: Park) -> None:
    """Park the turn until an operator resumes or cancels it."""
    log.warning(telemetry.TURN_PARKED, turn_id=str(turn.turn_id), reason=why.reason, message=why.message)
    telemetry.PARKED.labels(reason=why.reason).inc()
    detail = msgspec.json.encode({"reason": why.reason, "message": why.message[:_MESSAGE_CHARACTERS_MAX]})
    turn.park(why.reason, detail)
    data = extended(_with_channels(turn, detail), b'"private":true' if why.is_private else b"")
    turn.write(Event.TURN_PARKED, why.key, data)
    keep_rows(turn)


def keep_rows(turn: Turn) -> None:
    """Buffer in Postgres the signals, timers and results that the code has not taken, until the turn goes on."""
    rows = [each.inbox_id for each in turn.signals] + [each.inbox_id for each in turn.results]
    for inbox_id in (*rows, *turn.fired.values()):
        turn.move_if_new(inbox_id, Fate.BUFFERED)


def _with_channels(turn: Turn, data: bytes) -> bytes:
    """Add what the workflow has emitted to the data of an event after which the code does not go on."""
    return data if turn.channels is None else with_channels(data, turn.channels.own())

"""Drives the code of one turn: runs it until it is at rest, delivers one outcome, runs it again, and so on.

Rules:
- **History is the order.** An outcome is recorded, then delivered, then the code runs until nothing of it is ready;
  only then comes the next outcome. A replay delivers the recorded outcomes in the same order, so the code sees the same
  again: the winner of a race, which of two errors came first, how far a loop got until a signal came.
- **Nothing begins before all of history is delivered.** What the code asks for meanwhile waits. So what it gives up (a
  cancelled task, the loser of a race, what took longer than asyncio.timeout) is given up again before it would begin.
- A cancel of the turn is an outcome, too: recorded, then delivered at rest, once, as CancelledError in the first task.
  When the first task has ended, all others are cancelled, as asyncio.run does, and clean up to their end.
- The outcome of an operation that the code has given up by then is skipped, now and in every replay.
- When the code is at rest and lacks the next outcome of history, or, once all are delivered, an effect that history has
  as begun (an at_most_once step, a write to a graph), history and code differ: the turn is parked. When it is at rest
  and waits for nothing that is under way, no outcome can ever come: the turn fails.
- What code asks for while its frames are closed is refused with an error, the first _REFUSALS times. After that it gets
  no error and no outcome, so that a loop that catches everything comes to its end, too.
"""

import asyncio
import contextlib
from asyncio.events import _get_running_loop
from collections.abc import Coroutine
from contextvars import Context as Variables
from functools import partial
from typing import Any, Final, Protocol

import structlog

from argosy import telemetry
from argosy.errors import InternalError, OwnershipLostError, WorkflowError
from argosy.turn.keys import CANCEL, TIMER
from argosy.turn.wait import WaitKind
from argosy.workflow import frame_ends, same_asyncio
from argosy.workflow.current import current_try
from argosy.workflow.frames import words_of
from argosy.workflow.journal import Journal, Park
from argosy.workflow.loop_handle import Timer
from argosy.workflow.loop_refusals import refuse_closed, refuse_hopeless, refuse_restless
from argosy.workflow.mismatch import counted_otherwise, raised
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.operation import WaitOperation
from argosy.workflow.operations import Operations
from argosy.workflow.replay import TurnKeys
from argosy.workflow.root_task import RootTask
from argosy.workflow.step_runner import StepRunner
from argosy.workflow.turn_loop import TurnLoop
from argosy.workflow.turn_task import number_of
from argosy.workflow.turn_time import TurnTime

log = structlog.get_logger()
same_asyncio.install()

_SLICE: Final = 1_000  # callbacks of one turn before it yields to the worker's loop: a few ms, so no setting
_OUTCOMES: Final = 200  # outcomes in a row before it yields to the worker's loop: as above
_REFUSALS: Final = 3  # code that asks more often while its frames are closed ignores the error
_TIMER_S_MAX: Final = 366 * 86_400.0  # as for ctx.sleep; a longer timer is cut to it


class AfterDriving(Protocol):
    """What Driver tells."""

    def after_done(self) -> None:
        """The driver's `error` or `result` is set."""


class Driver:
    """The host of the turn's loop (loop_handle.Host). Used from the worker's loop only. then: told once."""

    __slots__ = (
        "_attempt",
        "_beside",
        "_callbacks_max",
        "_is_advancing",
        "_is_cancelled",
        "_is_done",
        "_journal",
        "_keys",
        "_operations",
        "_refused",
        "_replay",
        "_root",
        "_runner",
        "_slices",
        "_then",
        "_time",
        "_worker_loop",
        "error",
        "is_closed",
        "loop",
        "result",
    )

    def __init__(
        self,
        journal: Journal,
        runner: StepRunner,
        attempt: OpenAttempt,
        then: AfterDriving,
        callbacks_max: int,
    ) -> None:
        self.loop = TurnLoop(self)  # type: ignore[abstract]
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_closed = False
        self._journal = journal
        self._replay = journal.replay
        self._attempt = attempt
        self._then: AfterDriving | None = then
        self._callbacks_max = callbacks_max  # between two outcomes
        self._worker_loop = asyncio.get_running_loop()
        self._keys = TurnKeys(self._replay.old)
        self._runner = runner
        # Made when the code first needs them: many turns have no operation, and most never ask for the time.
        self._operations: Operations | None = None
        self._time: TurnTime | None = None
        self._root: RootTask | None = None
        # How many threads run beside the loop and will ask it for something: that of a synchronous workflow, or none.
        self._beside = 0
        self._is_advancing = False
        self._is_done = self._is_cancelled = False
        self._slices = self._refused = 0

    @property
    def operations(self) -> Operations:
        """The operations that the code asks for."""
        if self._operations is None:
            self._operations = Operations(self, self._journal, self._runner, self.loop, self._worker_loop)
            self._operations.is_closed = self.is_closed
        return self._operations

    def begin(self, code: Coroutine[Any, Any, Any], variables: Variables) -> None:
        """Run the code from its first line. variables: the context in which it runs."""
        self._journal.follow(self.advance)
        self._root = self.loop.begin(code, variables)
        self.advance()

    def advance(self) -> None:
        """Go on until the next outcome has to be waited for. Called whenever one may have come."""
        if self._is_advancing or self._is_done:
            return
        self._is_advancing = True
        try:
            self._go_on()
        except (Park, OwnershipLostError, WorkflowError, asyncio.CancelledError) as error:
            self.end(error=error)
        except BaseException as bug:  # a bug of Argosy, or user code that raised where no error was expected
            internal = InternalError(f"{type(bug).__name__}: {words_of(bug)}")
            internal.__cause__ = bug
            self.end(error=internal)
        finally:
            self._is_advancing = False

    def take_error(self) -> BaseException | None:
        """Return the attempt's error and forget it: its traceback refers to this driver."""
        error, self.error = self.error, None
        return error

    def close(self) -> set[asyncio.Task[None]]:
        """Stop the workflow and close its frames. Returns the tries of steps that were cancelled and have not ended
        yet.
        """
        self.is_closed = self._is_done = True
        if self._operations is not None:
            self._operations.is_closed = True
        if self._time is not None:
            self._time.is_closed = True
        self._attempt.close()
        if unclosed := self.loop.end():
            frame_ends.say(self._journal.turn_id, unclosed)
        self._root = None
        self._then = None  # breaks the cycle with the execution
        return set() if self._operations is None else self._operations.close()

    def end(self, error: BaseException | None = None, result: Any = None) -> None:
        """End the attempt with its result, or with why it cannot go on."""
        if not self._is_done:
            self._is_done = True
            self.result, self.error = result, error
            if self._then is not None:
                self._then.after_done()

    # What the code asks for

    def ask(self, name: str) -> str:
        """Return the key of an operation that the code calls now. Raises WorkflowError where it must not call one."""
        loop = self.loop
        if self.is_closed:  # first: a frame that catches everything may be freed anywhere, even in a step
            self._refuse()
        elif current_try.get() is not None:
            raise WorkflowError(f"{name!r} was asked of ctx inside a step; durable operations belong in the workflow")
        elif _get_running_loop() is not loop:
            raise WorkflowError(f"{name!r} was asked of ctx outside of its workflow: in a thread, or on another loop")
        root = loop.root
        return self._keys.next(0, name) if root is not None and root.is_running else self._key(name)

    def hold(self) -> None:
        """Keep the turn from rest until `release`: a thread that will ask for something runs beside the loop."""
        self._beside += 1

    def release(self) -> None:
        self._beside -= 1
        self.advance()

    # argosy.workflow.loop_handle.Host

    def time_s(self) -> float:
        if self._time is None:
            self._time = TurnTime(self._journal, self._keys)
            self._time.is_closed = self.is_closed
        return self._time.now_s()

    def begin_timer(self, timer: Timer, delay_s: float) -> None:
        operation = WaitOperation(self.operations, self._key(TIMER), WaitKind.SLEEP, "", min(delay_s, _TIMER_S_MAX))
        operation.timer = timer
        timer.key = operation.key
        self.operations.add(operation)

    def end_timer(self, timer: Timer) -> None:
        self.operations.end_timer(timer.key)

    def unhandled(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        told = {
            "turn_id": str(self._journal.turn_id),
            "message": context.get("message"),
            "type": None if error is None else type(error).__name__,
        }
        # Not at once: a finalizer may call this in any thread, also while that thread writes a line of the log.
        with contextlib.suppress(RuntimeError):  # the worker's loop is closed
            self._worker_loop.call_soon_threadsafe(partial(log.warning, telemetry.WORKFLOW_UNHANDLED, **told))

    # Inside

    def _go_on(self) -> None:
        """Deliver outcome after outcome, until the turn has to wait for one."""
        loop, journal, replay = self.loop, self._journal, self._replay
        for _ in range(_OUTCOMES):
            if journal.is_stopped:
                return
            if loop.ready and not loop.run(_SLICE):
                self._slices += 1
                if self._slices * _SLICE >= self._callbacks_max:
                    refuse_restless(self._callbacks_max)
                break
            self._slices = 0
            if self._keys.parted is not None:
                raise counted_otherwise(*self._keys.parted)
            root = self._root
            if root is None or root.is_done:
                if self._is_cancelled and loop.cancel_rest():
                    continue
                if root is None or not (self._is_cancelled and loop.is_cleaning_up):
                    self._returned()
                    return
            if self._beside:
                return
            operations = self._operations or self.operations
            if self._time is not None:
                self._time.pass_on()
            if (key := replay.next) is not None:
                if key == CANCEL:
                    replay.take()
                    self._cancel(root)
                else:
                    operations.deliver_recorded(key)
            elif journal.is_cancelled and not self._is_cancelled:
                self._cancel(root)
            elif not ((operations.unstarted and operations.start_next()) or operations.deliver_arrived()):
                if not operations.pending:
                    if not root.is_done:
                        refuse_hopeless()
                    self._returned()  # the remaining tasks swallowed their cancel, and wait for nothing that can come
                elif not operations.tries_running:
                    journal.rest()
                return
        self._worker_loop.call_soon(self.advance)

    def _cancel(self, root: RootTask) -> None:
        """Tell the code that its turn is cancelled."""
        self._is_cancelled, self._replay.begun = True, ()  # whatever became of what has begun: the turn ends
        self._journal.note_cancelled()
        root.cancel()

    def _returned(self) -> None:
        """End the attempt: the code has ended. Outcomes of operations that it gave up by ending are skipped; for what
        it never asked for, the turn is parked.
        """
        result, error = (None, asyncio.CancelledError()) if self._root is None else self._root.take_outcome()
        if self._replay.next is not None or self._replay.begun:
            self.operations.pass_over_rest("returned" if error is None else raised(error))
        self.end(error, result)

    def _key(self, name: str) -> str:
        return self._keys.next(number_of(self.loop.current_task()), name)

    def _refuse(self) -> None:
        self._refused += 1
        if self._refused <= _REFUSALS:
            refuse_closed()

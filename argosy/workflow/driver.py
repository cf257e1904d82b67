"""Drives the code of one turn: between outcomes it runs to rest, and outcomes come one at a time, in one order.

Rules:
- **History is the order.** An outcome is recorded, then delivered, then the code runs until nothing of it is ready;
  only then comes the next one. A replay delivers what is recorded in the same order, so the code sees the same
  again: who won a race, which of two errors came first, how far a loop got until a signal came.
- **Nothing begins before history is all delivered.** What the code asks for meanwhile waits. So what it gives up (a
  cancelled task, the loser of a race, what took longer than asyncio.timeout) is given up again before it would begin.
- An outcome of an operation that the code had given up by then is passed over, now as in every replay.
- At rest, with an outcome to deliver that the code has not asked for, history and code have parted: the turn is parked.
  At rest with nothing to wait for, no outcome can ever come: the turn fails.
- What code asks for while its frames are closed is refused, a few times in words; then it is not answered at all, so
  that a loop that catches everything comes to its end, too.
"""

import asyncio
from asyncio.events import _get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context as Variables
from contextvars import copy_context
from types import coroutine
from typing import Any, Final

import structlog

from argosy import telemetry
from argosy.errors import OwnershipLostError, WorkflowError
from argosy.turn.events import Event
from argosy.workflow import arguments, outcome
from argosy.workflow.current import current_try
from argosy.workflow.frames import words_of
from argosy.workflow.journal import Journal, Park, Recorded
from argosy.workflow.keys import TIME, TIMER, key_of, retry_key, step_key
from argosy.workflow.mismatch import asks_for, mismatch, other_arguments
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.operation import Operation, StepOperation, ValueOperation, WaitOperation
from argosy.workflow.step_runner import StepRunner, Tried
from argosy.workflow.turn_loop import Timer, TurnLoop

log = structlog.get_logger()

_SLICE: Final = 1_000  # handles of one turn before the worker's loop has its turn again: a few ms
_SLICES_MAX: Final = 1_000
_REFUSALS: Final = 3
_WORDS_MAX: Final = 200
_CLOSE_TIMEOUT_S: Final = 5.0
_TIMER_S_MAX: Final = 366 * 86_400.0


class Driver:
    """turn_loop.Host. Used from the worker's loop only. on_done is called once, when `error` or `result` is set."""

    def __init__(self, journal: Journal, runner: StepRunner, attempt: OpenAttempt, on_done: Callable[[], None]) -> None:
        self.loop = TurnLoop(self)  # type: ignore[abstract]
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_closed = False
        self._journal = journal
        self._replay = journal.replay
        self._runner = runner
        self._attempt = attempt
        self._on_done = on_done
        self._worker_loop = asyncio.get_running_loop()
        self._root: asyncio.Task[Any] | None = None
        self._counts: dict[tuple[int, str], int] = {}
        # What the code waits for, by key, in the order in which it asked; and what of it has not begun.
        self._pending: dict[str, Operation] = {}
        self._unstarted: deque[Operation] = deque()
        # Keys of everything that it ever asked for: what of it is not pending was delivered or given up.
        self._asked: set[str] = set()
        # What tries of steps came to, in the order in which they did.
        self._arrived: deque[tuple[StepOperation, Tried]] = deque()
        self._trying: set[asyncio.Task[None]] = set()
        self._given_up: set[asyncio.Task[None]] = set()
        # Whoever runs beside the loop and will ask it for something (the thread of a synchronous workflow).
        self._beside = 0
        self._is_advancing = False
        self._is_done = False
        self._slices = 0
        self._time_s: float | None = None
        self._times = 0
        self._last_time_s = 0.0
        self._refused = 0

    # Its life

    def begin(self, code: Coroutine[Any, Any, Any], variables: Variables) -> None:
        """Run the code from its first line. variables: what its context variables are."""
        self._journal.follow(self.advance)
        self._root = self.loop.create_task(code, context=variables)
        self.advance()

    def advance(self) -> None:
        """Go on as far as it goes. Called whenever something may have come."""
        if self._is_advancing or self._is_done:
            return
        self._is_advancing = True
        try:
            while not self._journal.is_stopped and self._go_on():
                pass
        except (Park, OwnershipLostError, WorkflowError, asyncio.CancelledError) as error:
            self._end(error=error)
        finally:
            self._is_advancing = False

    async def close(self) -> None:
        """When this returns nothing of the workflow runs any more, but for steps that cannot be stopped in time."""
        self.is_closed = self._is_done = True
        self._attempt.close()
        for error in self.loop.end():
            self._unclosed(error)
        for operation in self._pending.values():
            if operation.future is not None:
                operation.future.cancel()  # it and the task that awaits it hold each other
        self._pending.clear()
        self._unstarted.clear()
        left = (self._trying | self._given_up) - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CLOSE_TIMEOUT_S)
        self._root = None

    # What the code asks

    def ask(self, name: str) -> str:
        """The key of an operation that the code calls now. Raises WorkflowError where it must not."""
        if current_try.get() is not None:
            raise WorkflowError(f"{name!r} was asked of ctx inside a step; durable operations belong in the workflow")
        if self.is_closed:
            self._refuse()
        elif _get_running_loop() is not self.loop:
            raise WorkflowError(f"{name!r} was asked of ctx outside of its workflow: in a thread, or on another loop")
        return self._key(name)

    async def perform(self, operation: Operation) -> Any:
        """The outcome of an operation. When the code is cancelled here it gives the operation up."""
        if self.is_closed:
            await _never()
        future = operation.future = asyncio.Future(loop=self.loop)
        if isinstance(operation, StepOperation):
            operation.digest = arguments.digest(operation.args, operation.kwargs)
            if not self._replay.is_settled(operation.key):
                operation.args, operation.kwargs = arguments.copied(operation.args, operation.kwargs)
                operation.context = copy_context()
            if operation.step.is_private:
                self._journal.hide(operation.key)
        self._add(operation)
        try:
            return await future
        finally:
            self._give_up(operation)

    def hold(self) -> None:
        """Somebody runs beside the loop: it is not at rest before `release`."""
        self._beside += 1

    def release(self) -> None:
        self._beside -= 1
        self.advance()

    # argosy.workflow.turn_loop.Host

    def time_s(self) -> float:
        if self._time_s is None and not self.is_closed:
            self._times += 1
            key = key_of(0, TIME, self._times)
            found = self._replay.recorded(key)
            if found is not None:
                self._last_time_s = float(outcome.value_of(found, key))
            elif self._replay.next is None:
                self._last_time_s = max(self._last_time_s, self._journal.database_time_s())
                self._journal.record(Event.VALUE_RECORDED, key, outcome.value(repr(self._last_time_s)))
            self._time_s = self._last_time_s
        return self._last_time_s

    def begin_timer(self, timer: Timer, delay_s: float) -> None:
        operation = WaitOperation(self._key(TIMER), "sleep", "", min(delay_s, _TIMER_S_MAX))
        operation.timer = timer
        timer.key = operation.key
        self._add(operation)

    def end_timer(self, timer: Timer) -> None:
        if (operation := self._pending.get(timer.key)) is not None:
            self._give_up(operation)

    def unhandled(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.warning(
            telemetry.WORKFLOW_UNHANDLED,
            turn_id=str(self._journal.turn_id),
            message=context.get("message"),
            type=None if error is None else type(error).__name__,
        )

    # Inside: what comes next

    def _go_on(self) -> bool:
        """One step of the way. False: nothing to do until something comes."""
        if not self.loop.run(_SLICE):
            self._slices += 1
            if self._slices > _SLICES_MAX:
                raise WorkflowError("the workflow never comes to rest: a loop of it awaits nothing that is durable")
            self._worker_loop.call_soon(self.advance)
            return False
        self._slices = 0
        root = self._root
        if root is None or root.done():
            self._returned()
            return False
        if self._beside:
            return False
        if (key := self._replay.next) is not None:
            self._deliver_next(key)
            return True
        while self._unstarted:
            if self._start(self._unstarted.popleft()):
                return True
        if self._arrived:
            self._settle_try(*self._arrived.popleft())
            return True
        if (over := self._journal.next_over()) is not None:
            self._settle_wait(*over)
            return True
        if not self._pending:
            raise WorkflowError(
                "the workflow waits for what nothing can bring: no step, wait or timer of it is under way "
                "(I/O, threads and other loops belong in a step)"
            )
        if not self._trying:
            self._journal.rest()
        return False

    def _returned(self) -> None:
        """The code has ended. What it gave up by that needs no outcome, what it never asked for does."""
        root = self._root
        if root is None or root.cancelled():
            error: BaseException | None = asyncio.CancelledError("the workflow cancelled itself")
        else:
            error = root.exception()
        while (key := self._replay.next) is not None:
            if key not in self._asked:
                raise self._mismatch(key, instead="returned" if error is None else f"raised {_told(error)}")
            self._replay.take()
        if root is None or error is not None:
            self._end(error=error)
        else:
            self._end(result=root.result())

    def _end(self, *, result: Any = None, error: BaseException | None = None) -> None:
        if not self._is_done:
            self._is_done = True
            self.result, self.error = result, error
            self._on_done()

    # Inside: operations

    def _key(self, name: str) -> str:
        task = self.loop.current_task()
        scope = 0 if task is None else task.number
        count = self._counts[scope, name] = self._counts.get((scope, name), 0) + 1
        return key_of(scope, name, count)

    def _add(self, operation: Operation) -> None:
        self._pending[operation.key] = operation
        self._asked.add(operation.key)
        self._unstarted.append(operation)

    def _start(self, operation: Operation) -> bool:
        """Begin what the code asked for. True: it is over by that."""
        if self._pending.get(operation.key) is not operation:
            return False  # it was given up before it began
        operation.is_started = True
        if isinstance(operation, WaitOperation):
            self._journal.begin_wait(operation.key, operation.kind, operation.name, operation.timeout_s)
        elif isinstance(operation, ValueOperation):
            value = operation.make()
            self._journal.record(Event.VALUE_RECORDED, operation.key, outcome.value(value))
            self._settle(operation, value)
            return True
        elif isinstance(operation, StepOperation):
            self._runner.check_certain(operation)
            operation.tries = self._replay.tries(operation.key)
            if operation.tries and not self._replay.is_settled(retry_key(operation.key, operation.tries)):
                self._wait_again(operation, self._runner.delay_s(operation))
            else:
                self._try(operation)
        return False

    def _try(self, operation: StepOperation) -> None:
        task = operation.task = self._worker_loop.create_task(self._tried(operation), context=operation.context)
        self._trying.add(task)

    async def _tried(self, operation: StepOperation) -> None:
        """One try, and what it came to."""
        arrived: Tried | None = None
        try:
            arrived = await self._runner.run(operation)
        except (Park, OwnershipLostError, WorkflowError) as error:
            if self._is_awaited(operation) and not self._journal.is_stopped:
                self._end(error=error)
        finally:
            if operation.task is not None:
                self._trying.discard(operation.task)
                operation.task = None
            is_awaited = arrived is not None and self._is_awaited(operation)
            if arrived is not None and is_awaited and self._journal.is_stopped:
                is_awaited = False
                with suppress(OwnershipLostError, asyncio.CancelledError):  # kept for whoever has the turn now
                    self._journal.record(arrived.event, operation.key, arrived.data)
            self._journal.left(operation.key)
        if arrived is not None and is_awaited:
            self._arrived.append((operation, arrived))
            self.advance()

    def _is_awaited(self, operation: Operation) -> bool:
        return not self.is_closed and self._pending.get(operation.key) is operation

    def _give_up(self, operation: Operation) -> None:
        """The code does not wait for it any more; nothing to do when it was settled."""
        if not self._is_awaited(operation):
            return
        del self._pending[operation.key]
        if not operation.is_started:
            return
        if isinstance(operation, StepOperation):
            if operation.wait_key:
                self._journal.end_wait(operation.wait_key)
            elif operation.task is not None:
                operation.task.cancel()
                self._trying.discard(operation.task)
                self._given_up.add(operation.task)
                operation.task.add_done_callback(self._given_up.discard)
            self._journal.record(Event.STEP_CANCELLED, operation.key, outcome.extended(b"{}", operation.step.mark))
        else:
            self._journal.end_wait(operation.key)
            if operation.timer is None:
                self._journal.record(Event.WAIT_CANCELLED, operation.key, b"{}")

    # Inside: outcomes

    def _deliver_next(self, key: str) -> None:
        """What history has next: the outcome with this key."""
        operation = self._pending.get(key)
        if operation is None:
            if key not in self._asked:
                raise self._mismatch(key)
            self._replay.take()
            return
        self._deliver(operation, self._replay.take())

    def _deliver(self, operation: Operation, found: Recorded) -> None:
        if isinstance(operation, StepOperation):
            recorded = outcome.digest_of(found.data)
            if recorded and operation.digest and recorded != operation.digest:
                raise self._mismatch(operation.key, (recorded, operation.digest))
        try:
            value = outcome.value_of(found, operation.key)
        except Exception as error:  # what the operation raised
            self._settle(operation, error=error)
        else:
            self._settle(operation, value)

    def _settle_try(self, operation: StepOperation, tried: Tried) -> None:
        if self._pending.get(operation.key) is not operation:
            return
        operation.tries += 1
        self._journal.record(tried.event, operation.key, tried.data)
        if tried.event is Event.STEP_RETRYING:
            self._wait_again(operation, tried.delay_s)
        elif tried.event is Event.STEP_COMPLETED:
            self._settle(operation, tried.value)
        else:
            self._deliver(operation, Recorded(tried.event, tried.data))

    def _settle_wait(self, key: str, found: Recorded) -> None:
        if (operation := self._pending.get(key)) is not None:
            self._deliver(operation, found)
        elif isinstance(again := self._pending.get(step_key(key)), StepOperation) and again.wait_key == key:
            again.wait_key = ""
            self._try(again)

    def _settle(self, operation: Operation, value: Any = None, error: BaseException | None = None) -> None:
        del self._pending[operation.key]
        self._time_s = None
        future = operation.future
        if operation.timer is not None:
            self.loop.fire(operation.timer)
        elif future is None or future.done():
            pass
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def _wait_again(self, operation: StepOperation, delay_s: float) -> None:
        operation.wait_key = retry_key(operation.key, operation.tries)
        self._journal.begin_wait(operation.wait_key, "retry", "", delay_s)

    # Inside: refusals

    def _mismatch(self, key: str, digests: tuple[str, str] | None = None, instead: str = "") -> Park:
        def name_of(key: str) -> str:
            is_hidden = self._journal.is_hidden(key) or self._replay.is_private(key)
            return "a private step" if is_hidden else repr(key)

        if digests is not None:
            return other_arguments(name_of(key), *digests)
        return mismatch(name_of(key), instead or asks_for([name_of(each) for each in self._pending]))

    def _refuse(self) -> None:
        self._refused += 1
        if self._refused <= _REFUSALS:
            raise WorkflowError("the turn rests or has ended: nothing of it begins any more, also not in a `finally`")

    def _unclosed(self, error: BaseException) -> None:
        """A frame did something else than to end."""
        log.warning(
            telemetry.WORKFLOW_UNCLOSED,
            turn_id=str(self._journal.turn_id),
            type=type(error).__name__,
            message=words_of(error),
        )


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {words_of(error)[:_WORDS_MAX]}"


@coroutine
def _never() -> Any:
    """Nothing comes of it: who closes the frame that awaits it is told that it goes on."""
    yield

"""An operation of a workflow: what ctx.run, ctx.sleep and the like return, and the code awaits.

An operation is a coroutine without a frame: `await operation` begins it, and returns or raises its outcome. The turn's
first task (argosy/workflow/root_task.py) waits for the operation itself; any other task waits for a future.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Protocol

from argosy.turn.wait import WaitKind
from argosy.workflow.definition import Step
from argosy.workflow.loop_handle import Timer
from argosy.workflow.root_task import RootTask, Wakes


class Begun(Protocol):
    """The operations of an attempt (argosy/workflow/operations.py), as each of them needs them."""

    is_closed: bool

    def begin(self, operation: Any) -> "RootTask | asyncio.Future[None]":
        """Begin an operation; return what waits for it: the turn's first task, or a future that another task awaits."""
        ...

    def give_up(self, operation: Any) -> None: ...


class _ClosedOperations:
    """Stands in for the operations of an attempt that is over, so that an operation that asyncio still refers to does
    not keep the attempt alive.
    """

    is_closed = True

    def begin(self, operation: Any) -> "asyncio.Future[None]":
        return asyncio.Future()

    def give_up(self, operation: Any) -> None: ...


_CLOSED: Final[Begun] = _ClosedOperations()

if TYPE_CHECKING:
    _Awaited = Coroutine[Any, Any, Any]
else:
    _Awaited = object  # registered below: an isinstance check of a class derived from an ABC takes a microsecond


class Operation(Wakes, _Awaited):
    """One operation of a workflow.

    key: under which its outcome is recorded; value, error: the outcome, once `is_settled`. timer: of the turn's loop,
    when the operation is that timer and no code awaits it. is_started: a try or a wait of it has begun, so giving the
    operation up is recorded.
    """

    __slots__ = (
        "_is_begun",
        "_operations",
        "_waiter",
        "error",
        "is_settled",
        "is_started",
        "key",
        "timer",
        "value",
    )

    def __init__(self, operations: Begun, key: str) -> None:
        self.key = key
        self.value: Any = None
        self.error: BaseException | None = None
        self.timer: Timer | None = None
        self.is_settled = False
        self.is_started = False
        self._is_begun = False
        self._operations: Begun = operations
        self._waiter: RootTask | asyncio.Future[None] | None = None

    def __await__(self) -> "Operation":
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        """Begin the operation and return what the task that awaits it waits for.

        The second call, after `settle`, raises the outcome: StopIteration with the value, or the error.
        """
        if self._is_begun:
            if not self.is_settled:
                raise RuntimeError("an operation is awaited once: make a task of it, or keep what it returned")
            error, self.error = self.error, None
            self.is_settled = False
            if error is None:
                raise StopIteration(self.value)
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        operations = self._operations
        if operations.is_closed:
            return None  # no outcome will come; `frame_ends.close` sees that the frame it closes goes on
        self._is_begun = True
        self._waiter = waiter = operations.begin(self)
        if waiter.__class__ is RootTask:
            return self
        waiter._asyncio_future_blocking = True
        return waiter

    def send(self, value: None) -> Any:
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Give the operation up: its code is cancelled here, or the frame that awaits it is closed."""
        self.close()
        try:
            if isinstance(kind, BaseException):
                raise kind
            raise kind if value is None else value
        finally:
            del kind, value, traceback  # the error's traceback holds this frame

    def close(self) -> None:
        if self._is_begun:
            self._operations.give_up(self)
        self._is_begun = True

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Set the outcome, and wake the task that awaits it."""
        self.value, self.error, self.is_settled = value, error, True
        self._operations = _CLOSED
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        if waiter.__class__ is RootTask:
            waiter.wake()
        elif not waiter.done():
            waiter.set_result(None)  # type: ignore[union-attr]

    def let_go(self) -> None:
        """Break the cycle between the operation and the task that awaited it; no outcome will come."""
        waiter, self._waiter = self._waiter, None
        if isinstance(waiter, asyncio.Future):
            waiter.cancel()
        self._operations = _CLOSED

    # For the turn's first task

    def cancel(self, msg: Any = None) -> bool:
        waiter, self._waiter = self._waiter, None
        if self.is_settled or not isinstance(waiter, RootTask):
            return False
        waiter.wake(asyncio.CancelledError(*([] if msg is None else [msg])))
        return True


Coroutine.register(Operation)


class StepOperation(Operation):
    """One call of a step.

    args, kwargs: the arguments of the call; digest: of these arguments. context: a copy of the workflow's context
    variables, in which the step runs. tries: how many there were so far; tries_away: how many of them spent no retry,
    because a graph could not be asked. wait_key: of the wait for the next try, while the step is in one. task: runs the
    current try. is_ended: Argosy cancelled the try, because the code no longer waits for the step.
    """

    __slots__ = (
        "args",
        "context",
        "digest",
        "function",
        "is_ended",
        "kwargs",
        "step",
        "task",
        "tries",
        "tries_away",
        "wait_key",
    )

    def __init__(
        self,
        operations: Begun,
        key: str,
        step: Step,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        Operation.__init__(self, operations, key)
        self.step = step
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.digest = ""
        self.context: Context | None = None
        self.tries = self.tries_away = 0
        self.wait_key = ""
        self.is_ended = False
        self.task: asyncio.Task[None] | None = None


class WaitOperation(Operation):
    """A wait for a signal or a time. timeout_s: None waits for ever."""

    __slots__ = ("kind", "name", "timeout_s")

    def __init__(self, operations: Begun, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        super().__init__(operations, key)
        self.kind = kind
        self.name = name
        self.timeout_s = timeout_s


class ValueOperation(Operation):
    """A value that is recorded when it is first asked for, such as the time.

    make: makes the value, as the string that is recorded; read: turns that string into what the code gets.
    """

    __slots__ = ("make", "read")

    def __init__(self, operations: Begun, key: str, make: Callable[[], str], read: Callable[[str], Any]) -> None:
        super().__init__(operations, key)
        self.make = make
        self.read = read

    def settle(self, value: Any, error: BaseException | None) -> None:
        super().settle(self.read(value) if error is None else None, error)

"""An operation of a workflow: what ctx.run, ctx.sleep and the like return, and the code awaits.

It is a coroutine without a frame: `await operation` begins it, and returns or raises its outcome. The turn's first task
(argosy/workflow/root_task.py) gets the operation itself to wait for; any other task gets a future of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Protocol

from argosy.workflow.definition import Step
from argosy.workflow.journal import WaitKind
from argosy.workflow.loop_handle import Timer
from argosy.workflow.root_task import RootTask, Wakes


class Begun(Protocol):
    """Those of an attempt, as one of them needs it: argosy/workflow/operations.py."""

    is_closed: bool

    def begin(self, operation: Any) -> "RootTask | asyncio.Future[None]":
        """Who waits for it: the turn's first task, or a future for another one."""
        ...

    def give_up(self, operation: Any) -> None: ...


class _Closed:
    """Of an attempt that is over: what asyncio's objects still hold of it does not hold the attempt."""

    is_closed = True

    def begin(self, operation: Any) -> "asyncio.Future[None]":
        return asyncio.Future()

    def give_up(self, operation: Any) -> None: ...


_CLOSED: Final[Begun] = _Closed()

if TYPE_CHECKING:
    _Awaited = Coroutine[Any, Any, Any]
else:
    _Awaited = object  # registered below: isinstance of a class that derives from an ABC takes a microsecond


class Operation(Wakes, _Awaited):
    """key: under which its outcome is recorded. value, error: its outcome, once it is settled. timer: for one that the
    loop waits for, and no code does. is_started: it has begun outside of the code, so that giving it up is said.
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
        """Begin: what the task that awaits it has to wait for. Then the outcome, as StopIteration or as its error."""
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
            return None  # nothing comes of it: who closes the frame that awaits it is told that it goes on
        self._is_begun = True
        self._waiter = waiter = operations.begin(self)
        if waiter.__class__ is RootTask:
            return self
        waiter._asyncio_future_blocking = True
        return waiter

    def send(self, value: None) -> Any:
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """The code is cancelled here, or its frame is closed: it gives the operation up."""
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
        """The outcome is there: whoever awaits it goes on."""
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
        """Nobody awaits it any more; it and the task that did held each other."""
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
    """args, kwargs: what the step is called with; digest: of them. context: what its code runs in, a copy of the
    workflow's. tries: so far. wait_key: of the wait for the next try, while it is in one. task: the try that runs.
    is_ended: by us, because nobody waits for it any more.
    """

    __slots__ = ("args", "context", "digest", "function", "is_ended", "kwargs", "step", "task", "tries", "wait_key")

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
        self.tries = 0
        self.wait_key = ""
        self.is_ended = False
        self.task: asyncio.Task[None] | None = None


class WaitOperation(Operation):
    """timeout_s: None for ever."""

    __slots__ = ("kind", "name", "timeout_s")

    def __init__(self, operations: Begun, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        super().__init__(operations, key)
        self.kind = kind
        self.name = name
        self.timeout_s = timeout_s


class ValueOperation(Operation):
    """make: the value, when nobody has made it yet; what JSON has as a string. read: what the code gets for it."""

    __slots__ = ("make", "read")

    def __init__(self, operations: Begun, key: str, make: Callable[[], str], read: Callable[[str], Any]) -> None:
        super().__init__(operations, key)
        self.make = make
        self.read = read

    def settle(self, value: Any, error: BaseException | None) -> None:
        super().settle(self.read(value) if error is None else None, error)

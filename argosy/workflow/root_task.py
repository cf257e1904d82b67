"""The first task of a turn: asyncio.Task, as far as asyncio and users' code use it, at less cost.

Most workflows are one coroutine that awaits one operation after the other. This task runs such a coroutine directly: it
waits for an operation (argosy/workflow/operation.py) itself, and gets the outcome without a future, a callback and a
handle in between. It awaits anything else as asyncio.Task does. Source: asyncio.Task.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Final, Protocol

NUMBER: Final = 0


class Loop(Protocol):
    """The turn's loop, as its first task needs it."""

    def make_ready(self, task: "RootTask") -> None: ...
    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any: ...
    def call_exception_handler(self, context: dict[str, Any]) -> None: ...


class Wakes:
    """Something that the first task awaits, and that calls the task's `wake` when its outcome has come."""

    __slots__ = ()

    def cancel(self, msg: Any = None) -> bool:
        """Wake the task with CancelledError. False: the outcome has come already."""
        raise NotImplementedError


class RootTask:
    """The first task of a turn. Used by the turn's loop and by the code that runs on it.

    number: as TurnTask.number; is_running: the task's code runs now.
    """

    __slots__ = (
        "__weakref__",
        "_asyncio_future_blocking",
        "_callbacks",
        "_cancel_message",
        "_cancels",
        "_coro",
        "_error",
        "_fut_waiter",
        "_is_cancelled",
        "_loop",
        "_must_cancel",
        "_name",
        "_result",
        "_wakes_with",
        "context",
        "is_done",
        "is_running",
    )
    number = NUMBER

    def __init__(self, coro: Coroutine[Any, Any, Any], loop: Loop, context: Context) -> None:
        self.context = context
        self._asyncio_future_blocking = False
        self._callbacks: list[tuple[Callable[..., Any], Context | None]] | None = None
        self._cancel_message: Any = None
        self._cancels = 0
        self._coro = coro
        self._error: BaseException | None = None
        self._fut_waiter: Any = None
        self._is_cancelled = self._must_cancel = self.is_done = self.is_running = False
        self._loop = loop
        self._name = "0"
        self._result: Any = None
        self._wakes_with: BaseException | None = None
        loop.make_ready(self)

    def __hash__(self) -> int:
        return NUMBER

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self.is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    __iter__ = __await__

    # As asyncio.Task

    def done(self) -> bool:
        return self.is_done

    def cancelled(self) -> bool:
        return self._is_cancelled

    def result(self) -> Any:
        if (error := self.exception()) is not None:
            raise error
        return self._result

    def exception(self) -> BaseException | None:
        if not self.is_done:
            raise asyncio.InvalidStateError("Exception is not set.")
        if self._is_cancelled:
            raise asyncio.CancelledError(*([] if self._cancel_message is None else [self._cancel_message]))
        return self._error

    def cancel(self, msg: Any = None) -> bool:
        if self.is_done:
            return False
        self._cancels += 1
        if self._fut_waiter is not None and self._fut_waiter.cancel(msg=msg):
            return True
        self._must_cancel, self._cancel_message = True, msg
        return True

    def cancelling(self) -> int:
        return self._cancels

    def uncancel(self) -> int:
        self._cancels = max(0, self._cancels - 1)
        if not self._cancels:
            self._must_cancel = False  # as from Python 3.13 on, whose task groups rely on it
        return self._cancels

    def add_done_callback(self, callback: Callable[..., Any], *, context: Context | None = None) -> None:
        if self.is_done:
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callbacks = [*(self._callbacks or ()), (callback, context)]

    def remove_done_callback(self, callback: Callable[..., Any]) -> int:
        kept = [each for each in self._callbacks or () if each[0] != callback]
        removed = len(self._callbacks or ()) - len(kept)
        self._callbacks = kept
        return removed

    def get_loop(self) -> Any:
        return self._loop

    def get_coro(self) -> Coroutine[Any, Any, Any]:
        return self._coro

    def get_context(self) -> Context:
        return self.context

    def get_name(self) -> str:
        return self._name

    def set_name(self, value: object) -> None:
        self._name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        frame = getattr(self._coro, "cr_frame", None)
        return [] if frame is None else [frame]

    # What the loop does

    def take_outcome(self) -> tuple[Any, BaseException | None]:
        """Return what the code returned and the error that it raised, and forget the error."""
        error, self._error = self._error, None
        if self._is_cancelled:
            error = asyncio.CancelledError("the workflow cancelled itself")
        return self._result, error

    def run(self) -> None:
        """Run the code up to what it awaits next, or to its end."""
        error = self._wakes_with
        self._wakes_with = self._fut_waiter = None
        if self._must_cancel:
            self._must_cancel = False
            if not isinstance(error, asyncio.CancelledError):
                error = asyncio.CancelledError(*([] if self._cancel_message is None else [self._cancel_message]))
        loop: Any = self._loop
        _enter_task(loop, self)  # type: ignore[arg-type]
        self.is_running = True
        try:
            if error is None:
                awaited = self.context.run(self._coro.send, None)
            else:
                awaited = self.context.run(self._coro.throw, error)
        except StopIteration as stop:
            if self._must_cancel:
                self._end(is_cancelled=True)
            else:
                self._result = stop.value
                self._end()
        except asyncio.CancelledError:
            self._end(is_cancelled=True)
        except BaseException as raised:  # the edge of user code
            self._error = raised
            self._end()
        else:
            self._wait_for(awaited)
        finally:
            self.is_running = False
            _leave_task(loop, self)  # type: ignore[arg-type]
            error = None

    def wake(self, error: BaseException | None = None) -> None:
        """Let the code go on: what it awaits has come, or `error` is thrown into it."""
        self._wakes_with = error
        self._loop.make_ready(self)

    def _wait_for(self, awaited: Any) -> None:
        if isinstance(awaited, Wakes):
            self._fut_waiter = awaited
            if self._must_cancel and awaited.cancel(msg=self._cancel_message):
                self._must_cancel = False
            return
        blocking = getattr(awaited, "_asyncio_future_blocking", None)
        if blocking is None:
            if awaited is None:
                self.wake()
            else:
                self.wake(RuntimeError(f"Task got bad yield: {awaited!r}"))
        elif getattr(awaited, "_loop", self._loop) is not self._loop:
            self.wake(
                RuntimeError(
                    f"a workflow awaits {awaited!r:.200}, which belongs to another event loop; whatever is not the "
                    "workflow's own belongs in a step (ctx.run)"
                )
            )
        elif not blocking:
            self.wake(RuntimeError(f"yield was used instead of yield from with {awaited!r:.200}"))
        elif awaited is self:
            self.wake(RuntimeError("a task cannot await itself"))
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._woken, context=self.context)
            self._fut_waiter = awaited
            if self._must_cancel and awaited.cancel(msg=self._cancel_message):
                self._must_cancel = False

    def _woken(self, future: Any) -> None:
        self._loop.make_ready(self)

    def _end(self, *, is_cancelled: bool = False) -> None:
        self.is_done, self._is_cancelled = True, is_cancelled
        for callback, context in self._callbacks or ():
            self._loop.call_soon(callback, self, context=context)
        self._callbacks = None

"""The event loop of one turn, which runs the turn's workflow between two outcomes.

Promise: the same calls give the same order of everything that runs here, in every process. Callbacks run in the order
in which they became ready. Tasks and futures are numbered as they are made, and hashed by these numbers, so that a set
of them (asyncio.wait, TaskGroup) has the same order everywhere. Time stands still while the loop runs; `call_later`,
and so asyncio.sleep, asyncio.timeout and wait_for, are durable timers of the host. There is no I/O and no thread: a
call that would need one raises WorkflowError, which says where it belongs.

The loop does not run by itself: `run` runs on the worker's thread what is ready, and returns. Source: asyncio's
BaseEventLoop, as far as asyncio.Task and asyncio.Future use it.
"""

import asyncio
import sys
from asyncio.events import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, Final
from weakref import WeakKeyDictionary

from argosy.workflow import frame_ends
from argosy.workflow.loop_handle import NOBODY, Handle, Host, Timer
from argosy.workflow.loop_refusals import refuse_all, refuse_closed
from argosy.workflow.root_task import RootTask
from argosy.workflow.turn_task import TurnFuture, TurnTask

_SWEEP_FROM: Final = 64  # so many tasks are kept before those that have ended are removed


class TurnLoop(asyncio.AbstractEventLoop):
    """The event loop of one turn. Used from one thread. ready: what runs next, in this order."""

    def __init__(self, host: Host) -> None:
        self._host: Host = host
        self.ready: deque[Handle | RootTask] = deque()
        self.root: RootTask | None = None
        self._tasks: dict[int, TurnTask] = {}
        self._tasks_made = 1  # the first one is the root
        self._futures_made = 0
        self._generators: WeakKeyDictionary[AsyncGenerator[Any, Any], Context] | None = None
        self._sweep_at = _SWEEP_FROM
        self._is_closed = False
        self._cleaning_up: list[TurnTask] = []  # the tasks that cleaned up when all were last looked at
        self._is_rest_cancelled = False

    # What the host does

    def run(self, handles_max: int) -> bool:
        """Run what is ready, and what becomes ready meanwhile.

        False: that was more than handles_max; the next call goes on with the rest.
        """
        ready = self.ready
        outer, hooks = _get_running_loop(), sys.get_asyncgen_hooks()
        _set_running_loop(self)
        sys.set_asyncgen_hooks(self._iterates, self._finalize)
        try:
            while ready and handles_max:
                handles_max -= 1
                handle = ready.popleft()
                try:
                    handle.run()
                # asyncio.Task keeps SystemExit and KeyboardInterrupt, and raises them out of the loop as well.
                except BaseException as error:
                    self._raised(handle, error)
        finally:
            handle = None  # type: ignore[assignment]  # as in Handle.run
            _set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)
        return not ready

    def fire(self, timer: Timer) -> None:
        """Run the callback of a timer that is over."""
        self.ready.append(timer)

    def begin(self, code: Coroutine[Any, Any, Any], variables: Context) -> RootTask:
        """Make the first task of the turn. variables: the context in which it runs."""
        self.root = RootTask(code, self, variables)
        return self.root

    def make_ready(self, task: RootTask) -> None:
        if not self._is_closed:
            self.ready.append(task)

    def current_task(self) -> "TurnTask | RootTask | None":
        """Return the task that runs now, or None."""
        root = self.root
        return root if root is not None and root.is_running else asyncio.current_task(self)  # type: ignore[return-value]

    def cancel_rest(self) -> bool:
        """Cancel all other tasks, when the first task of a cancelled turn has ended. False: they were cancelled
        before.
        """
        if self._is_rest_cancelled:
            return False
        self._is_rest_cancelled = True
        for task in list(self._tasks.values()):
            if not (task.done() or task.cancelling()):
                task.cancel()
        return True

    @property
    def is_cleaning_up(self) -> bool:
        """Whether a task that was cancelled has not ended."""
        # Asked after every outcome, so all tasks are looked at only when those that were found last have ended.
        found = self._cleaning_up
        while found and not _cleans_up(found[-1]):
            found.pop()
        if not found:
            found.extend(filter(_cleans_up, self._tasks.values()))
        return bool(found)

    def end(self) -> list[BaseException]:
        """End the workflow: close its frames, and return the errors that they raised.

        They are closed with GeneratorExit and not with CancelledError, so that no clean-up of a cancellation runs. What
        they ask of the loop meanwhile is refused.
        """
        self._is_closed = True
        self._cleaning_up.clear()
        self.ready.clear()
        root, self.root = self.root, None
        raised: list[BaseException] = []
        if self._tasks or self._generators or (root is not None and not root.is_done):
            self._close_frames(root, raised)
            self._tasks.clear()
        self._host = NOBODY
        return raised

    def _close_frames(self, root: RootTask | None, raised: list[BaseException]) -> None:
        outer, hooks = _get_running_loop(), sys.get_asyncgen_hooks()
        _set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave)
        try:
            for generator, context in list((self._generators or {}).items()):
                if (error := context.run(frame_ends.close_awaited, generator)) is not None:
                    raised.append(error)
            for task in (*(() if root is None else (root,)), *self._tasks.values()):
                if task.done():
                    continue
                if isinstance(task, TurnTask):
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                if (error := task.context.run(frame_ends.close, task.get_coro())) is not None:
                    raised.append(error)
                if isinstance(waiter := task._fut_waiter, asyncio.Future):
                    waiter.cancel()  # breaks the cycle of the future and the task that awaits it
        finally:
            _set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)

    # What asyncio and user code do

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, copy_context() if context is None else context)
        if not self._is_closed:
            self.ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Timer:
        return self._timer(max(0.0, delay), 0.0, callback, args, context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Timer:  # type: ignore[override]
        return self._timer(max(0.0, when - self.time()), when, callback, args, context)

    def time(self) -> float:
        """Return the turn's time: seconds since 1970 by the database's clock, recorded when the code first asks for it
        after an outcome.
        """
        return self._host.time_s()

    def create_future(self) -> TurnFuture:
        return TurnFuture(self.next_future(), self)

    def next_future(self) -> int:
        """Return the number of a future that is made now."""
        self._futures_made += 1
        return self._futures_made

    def unfinished(self) -> set[Any]:
        """Return the tasks that have not ended, as a set filled in the order of their numbers."""
        return {task for task in (self.root, *self._tasks.values()) if task is not None and not task.done()}

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> TurnTask:
        if self._is_closed:
            coro.close()
            refuse_closed()
        number = self._tasks_made
        self._tasks_made += 1
        task = TurnTask(
            coro, number, copy_context() if context is None else context, loop=self, name=name or str(number)
        )
        self._tasks[number] = task
        if len(self._tasks) >= self._sweep_at:
            self._tasks = {number: task for number, task in self._tasks.items() if not task.done()}
            self._sweep_at = max(_SWEEP_FROM, 2 * len(self._tasks))
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._is_closed

    def is_closed(self) -> bool:
        return self._is_closed

    def get_task_factory(self) -> None:
        return None

    def get_exception_handler(self) -> None:
        return None

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._is_closed:
            self._host.unhandled(context)

    # Inside

    def _timer(
        self, delay_s: float, when_s: float, callback: Callable[..., Any], args: Any, context: Context | None
    ) -> Timer:
        timer = Timer(self._host, when_s, callback, args, copy_context() if context is None else context)
        if self._is_closed:
            return timer
        if delay_s <= 0:
            self.ready.append(timer)
        else:
            self._host.begin_timer(timer, delay_s)
        return timer

    def _raised(self, handle: "Handle | RootTask", error: BaseException) -> None:
        if isinstance(error, SystemExit | KeyboardInterrupt) and isinstance(
            getattr(getattr(handle, "_callback", None), "__self__", None), asyncio.Task
        ):
            return  # raised by a task, which keeps the error for what awaits the task
        self.call_exception_handler({"message": "a callback raised", "exception": error})

    def _iterates(self, generator: AsyncGenerator[Any, Any]) -> None:
        task = self.current_task()
        if self._generators is None:
            self._generators = WeakKeyDictionary()
        self._generators[generator] = copy_context() if task is None else getattr(task, "context", copy_context())

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._is_closed and _get_running_loop() is self and not frame_ends.is_collecting():
            self.create_task(generator.aclose())


def _cleans_up(task: TurnTask) -> bool:
    return task.cancelling() > 0 and not task.done()


def _leave(generator: AsyncGenerator[Any, Any]) -> None:
    """Finalize an async generator of a loop that has ended: none of its code runs."""


refuse_all(TurnLoop)

"""The event loop of one turn: what its workflow does between two outcomes, and nothing else.

Promise: the same calls give the same order of everything that runs here, in every process. What is ready runs in the
order in which it became ready; tasks and futures are numbered as they are made, and a set of them is gone through by
those numbers, however it is filled (asyncio.wait, TaskGroup). Time stands still while the loop runs; `call_later`, and
so asyncio.sleep, asyncio.timeout and wait_for, are durable timers of the host. There is no I/O and no thread: whatever
would need one raises WorkflowError and says where it belongs.

Not a loop that runs for itself: `run` runs what is ready, on the worker's thread, and returns. Source: asyncio's
BaseEventLoop; what asyncio.Task and asyncio.Future call of it is here.
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

_SWEEP_FROM: Final = 64  # tasks, before those that have ended are let go of


class TurnLoop(asyncio.AbstractEventLoop):
    """See above. Used from one thread. ready: what runs next."""

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
        self._cleaning_up: list[TurnTask] = []  # tasks that did when it was last looked
        self._is_rest_cancelled = False

    # What the host does

    def run(self, handles_max: int) -> bool:
        """Run what is ready, and what becomes ready by that. False: it was more than handles_max, and goes on with the
        next call.
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
                # asyncio lets SystemExit and KeyboardInterrupt of a task out of its loop; the task has them, too.
                except BaseException as error:
                    self._raised(handle, error)
        finally:
            handle = None  # type: ignore[assignment]  # as in Handle.run
            _set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)
        return not ready

    def fire(self, timer: Timer) -> None:
        """A timer is over."""
        self.ready.append(timer)

    def begin(self, code: Coroutine[Any, Any, Any], variables: Context) -> RootTask:
        """The first task of the turn. variables: what its context variables are."""
        self.root = RootTask(code, self, variables)
        return self.root

    def make_ready(self, task: RootTask) -> None:
        if not self._is_closed:
            self.ready.append(task)

    def current_task(self) -> "TurnTask | RootTask | None":
        """The task that runs now."""
        root = self.root
        return root if root is not None and root.is_running else asyncio.current_task(self)  # type: ignore[return-value]

    def cancel_rest(self) -> bool:
        """The first task of a cancelled turn has ended: whatever else runs is cancelled, once. False: it was."""
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
        # Asked after every outcome: all tasks are gone through when those that were found have ended, and not before.
        found = self._cleaning_up
        while found and not _cleans_up(found[-1]):
            found.pop()
        if not found:
            found.extend(filter(_cleans_up, self._tasks.values()))
        return bool(found)

    def end(self) -> list[BaseException]:
        """Nothing of the workflow runs any more: its frames are closed (GeneratorExit, not CancelledError, so that no
        clean-up of a cancellation runs), and whatever they try meanwhile is refused. Returns what they raised.
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
                    waiter.cancel()  # it and the task that awaits it hold each other
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
        """The turn's time in seconds since 1970, by the database's clock: when the last outcome came, recorded."""
        return self._host.time_s()

    def create_future(self) -> TurnFuture:
        return TurnFuture(self.next_future(), self)

    def next_future(self) -> int:
        """The number of a future that is made now."""
        self._futures_made += 1
        return self._futures_made

    def unfinished(self) -> set[Any]:
        """The tasks that have not ended; the set is filled in the order of their numbers."""
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
            return  # a step of a task, which lets only these out: whoever awaits the task gets it
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
    """Of a closed loop: nothing of its code runs."""


refuse_all(TurnLoop)

"""Synchronous workflows: `def f(ctx, input)` in a thread of its own, with the operations of Context, blocking.

A thread of its own and not one of the pool's: the pool runs the steps that such a workflow waits for, and would be
full of workflows waiting. A suspended turn needs no thread: it unwinds, and the replay brings a new one to the same
line.

The turn's loop runs one task for it, which asks for what the thread asks for. While the thread runs between two
operations that loop is not at rest: no outcome is delivered, nothing begins, the turn is not suspended.
"""

import asyncio
import threading
import uuid as uuids
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from argosy.errors import WorkflowError
from argosy.process import fork
from argosy.workflow.context import Context
from argosy.workflow.driver import Driver
from argosy.workflow.threads import Job, Label, Pool

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_UNWIND_TIMEOUT_S: Final = 1.0  # then the thread counts as abandoned: DISPATCH_THREADS_ABANDONED_MAX bounds those
_UNWINDS: Final = 100  # what still asks after so many catches everything, and is not answered any more


class Unwind(BaseException):
    """Ends the thread of a turn that is suspended, stopped or lost. Not an Exception, so that no `except Exception`
    swallows it; what `finally` blocks do on the way must not use ctx, which raises it again.
    """


class SyncContext:
    """What a synchronous workflow gets as ctx. Used from its own thread. Context says what each operation promises."""

    __slots__ = ("_ask", "_context", "_generation", "_is_closed", "_thread", "_unwinds")

    def __init__(self, context: Context, ask: "Callable[[_Asked], None]") -> None:
        self._context = context
        self._ask = ask
        self._generation = fork.generation
        self._is_closed = False
        self._thread = 0
        self._unwinds = 0

    @property
    def turn_id(self) -> uuids.UUID:
        return self._context.turn_id

    @property
    def session(self) -> str:
        return self._context.session

    @property
    def tenant(self) -> str:
        return self._context.tenant

    @property
    def attempt(self) -> int:
        return self._context.attempt

    def run(self, step: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        return self._block(lambda: self._context.run(step, *args, **kwargs))

    def sleep(self, delay_s: float) -> None:
        self._block(lambda: self._context.sleep(delay_s))

    def wait_signal(self, name: str, timeout_s: float | None = None) -> Any:
        return self._block(lambda: self._context.wait_signal(name, timeout_s))

    def now(self) -> datetime:
        return self._block(self._context.now)

    def uuid(self) -> uuids.UUID:
        return self._block(self._context.uuid)

    def enter(self) -> None:
        """From here on this is the thread that it is used from."""
        self._thread = threading.get_ident()

    def close(self) -> None:
        """On the loop: whatever the thread asks of ctx from now on unwinds it."""
        self._is_closed = True

    def _block(self, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        # Anybody else would wait for the loop, and the loop for him; of a child no loop hears.
        if threading.get_ident() != self._thread or self._generation != fork.generation:
            raise WorkflowError(
                "ctx was used outside of the thread of its workflow (in another thread, a step or a forked child): "
                "threads and processes belong in a step, and durable operations in the workflow"
            )
        asked = _Asked(operation)
        if self._is_closed:
            self._unwind()
        try:
            self._ask(asked)
        except RuntimeError:  # the worker has stopped, and its loop with it
            self._unwind()
        try:
            return asked.answer.result()  # type: ignore[no-any-return]
        except Unwind:
            self._unwind()
            raise

    def _unwind(self) -> None:
        self._unwinds += 1
        if self._unwinds > _UNWINDS:
            threading.Event().wait()  # for ever: it is abandoned, and at least takes no time from anybody
        raise Unwind


class _Asked:
    """An operation that the thread has asked for."""

    __slots__ = ("answer", "operation")

    def __init__(self, operation: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.operation = operation
        self.answer: Future[Any] = Future()


class OwnThread:
    """The thread of one attempt. `code` is what the turn's loop runs for it."""

    def __init__(
        self, function: Callable[..., Any], context: Context, driver: Driver, arguments: tuple[Any, ...], threads: Pool
    ) -> None:
        self._driver = driver
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[None] | None = None
        self._asked: _Asked | None = None
        self._facade = SyncContext(context, self._hand_in)
        call = partial(copy_context().run, _work, function, self._facade, arguments)
        self._job: Job = threads.submit(call, Label(context.turn_id))
        driver.hold()  # it runs
        self._job.ended.add_done_callback(self._ended)

    async def code(self) -> Any:
        """The result of the workflow."""
        while True:
            if self._asked is None and not self._job.ended.done():
                self._told = self._driver.loop.create_future()
                await self._told
            if self._asked is None:
                return self._job.ended.result()
            asked, self._asked = self._asked, None
            try:
                value, error = await asked.operation(), None
            except GeneratorExit:
                asked.answer.set_exception(Unwind())
                raise
            except BaseException as raised:  # whatever the operation came to is the thread's
                value, error = None, raised
            self._driver.hold()
            if error is None:
                asked.answer.set_result(value)
            else:
                asked.answer.set_exception(error)
            del asked, error

    async def close(self) -> None:
        """The thread unwinds at its next use of ctx; one that does not come to it within a second is abandoned, and
        cannot record anything.
        """
        self._facade.close()
        if self._asked is not None:
            self._asked.answer.set_exception(Unwind())
        job = self._job
        if not job.ended.done():
            if not self._threads.is_waiting(job):
                await asyncio.wait([job.ended], timeout=_UNWIND_TIMEOUT_S)
            if not job.ended.done():
                self._threads.give_up(job)
        if not job.ended.cancelled():
            job.ended.exception()  # it is nobody's any more

    def _hand_in(self, asked: _Asked) -> None:
        """From the thread."""
        self._loop.call_soon_threadsafe(self._take, asked)

    # On the worker's loop

    def _take(self, asked: _Asked) -> None:
        """The thread waits for an operation."""
        if self._driver.is_closed:
            asked.answer.set_exception(Unwind())
            return
        self._asked = asked
        self._tell()

    def _ended(self, ended: "asyncio.Future[Any]") -> None:
        if not self._driver.is_closed:
            self._tell()

    def _tell(self) -> None:
        if self._told is not None and not self._told.done():
            self._told.set_result(None)
        self._driver.release()


def _work(function: Callable[..., Any], facade: SyncContext, arguments: tuple[Any, ...]) -> Any:
    facade.enter()
    try:
        return function(facade, *arguments)
    except StopIteration as error:  # no future can hold one
        raise RuntimeError("the workflow raised StopIteration") from error

"""Synchronous workflows: `def f(ctx, input)` in a thread of its own, with the operations of Context as blocking calls.

The thread is none of those that run steps: they would fill up with workflows that wait for steps. A suspended turn
needs no thread: its thread unwinds, and the replay brings a new thread to the same line.

The turn's loop runs one task for the thread, which begins the operations that the thread asks for. While the thread
runs between two operations, the turn is not at rest: no outcome is delivered, no operation begins, and the turn is not
suspended.
"""

import asyncio
import threading
import uuid as uuids
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from argosy.errors import WorkflowError
from argosy.identity.turn_principal import TurnPrincipal
from argosy.process import fork
from argosy.workflow.context import Context
from argosy.workflow.driver import Driver
from argosy.workflow.graph import SyncGraph
from argosy.workflow.threads import Job, Label, ThreadPool

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_UNWIND_TIMEOUT_S: Final = 1.0  # then the thread counts as abandoned: DISPATCH_THREADS_ABANDONED_MAX bounds those
_UNWINDS: Final = 100  # code that still uses ctx after so many catches every error, and is not answered any more


class Unwind(BaseException):
    """Ends the thread of a turn that is suspended, stopped or lost.

    It is not an Exception, so that no `except Exception` swallows it. A `finally` block that uses ctx on the way out
    gets it again.
    """


class SyncContext:
    """The `ctx` of a synchronous workflow, used from its own thread. Context says what each operation promises."""

    __slots__ = ("_context", "_fork_depth", "_is_closed", "_own_thread", "_thread", "_unwinds")

    def __init__(self, context: Context, own_thread: "OwnThread") -> None:
        self._context = context
        self._own_thread = own_thread
        self._fork_depth = fork.depth
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
    def principal(self) -> TurnPrincipal | None:
        return self._context.principal

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

    def graph(self, name: str | None = None) -> SyncGraph:
        return SyncGraph(self._context.graph(name), _Blocks(self))

    def start_ingest(self, graph: str | None, lines: Iterable[Mapping[str, Any]]) -> str:
        return self._block(lambda: self._context.start_ingest(graph, lines))

    def wait_ingest(self, job: str, timeout_s: float | None = None) -> dict[str, Any]:
        return self._block(lambda: self._context.wait_ingest(job, timeout_s))

    def enter(self) -> None:
        """Make the calling thread the one that may use ctx."""
        self._thread = threading.get_ident()

    def close(self) -> None:
        """Unwind the thread at its next use of ctx. Called on the worker's loop."""
        self._is_closed = True

    def _block(self, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        # Code elsewhere would wait for the loop while the loop may wait for it; no loop hears of a forked child.
        if threading.get_ident() != self._thread or self._fork_depth != fork.depth:
            raise WorkflowError(
                "ctx was used outside of the thread of its workflow (in another thread, a step or a forked child): "
                "threads and processes belong in a step, and durable operations in the workflow"
            )
        asked = _Asked(operation)
        if self._is_closed:
            self._unwind()
        try:
            self._own_thread.hand_in(asked)
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
            threading.Event().wait()  # for ever: the thread is abandoned, and takes no processor time
        raise Unwind


class _Blocks:
    """Waits for what the thread asks of a graph."""

    __slots__ = ("_context",)

    def __init__(self, context: SyncContext) -> None:
        self._context = context

    def block(self, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        return self._context._block(operation)


class _Asked:
    """An operation that the thread asks for, and its answer."""

    __slots__ = ("answer", "operation")

    def __init__(self, operation: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.operation = operation
        self.answer: Future[Any] = Future()


class OwnThread:
    """The thread of one attempt. The turn's loop runs `code` for it."""

    def __init__(
        self,
        function: Callable[..., Any],
        context: Context,
        driver: Driver,
        arguments: tuple[Any, ...],
        threads: ThreadPool,
    ) -> None:
        self._driver = driver
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[None] | None = None
        self._asked: _Asked | None = None
        self._facade = SyncContext(context, self)
        call = partial(copy_context().run, _work, function, self._facade, arguments)
        self._job: Job = threads.submit(call, Label(context.turn_id))
        driver.hold()  # the thread runs
        self._job.ended.add_done_callback(self._ended)

    async def code(self) -> Any:
        """Run the operations that the thread asks for, and return the result of the workflow."""
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
            except BaseException as raised:  # any error of the operation is raised in the thread
                value, error = None, raised
            self._driver.hold()
            if error is None:
                asked.answer.set_result(value)
            else:
                asked.answer.set_exception(error)
            del asked, error

    async def close(self) -> None:
        """End the thread: it unwinds at its next use of ctx.

        A thread that has not ended after _UNWIND_TIMEOUT_S is abandoned, and cannot record anything.
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
            job.ended.exception()  # so that asyncio does not report an error that nothing reads

    def hand_in(self, asked: _Asked) -> None:
        """Ask for an operation. Called in the thread."""
        self._loop.call_soon_threadsafe(self._take, asked)

    # On the worker's loop

    def _take(self, asked: _Asked) -> None:
        """Take up an operation for which the thread waits."""
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
    except StopIteration as error:  # a future refuses it
        raise RuntimeError("the workflow raised StopIteration") from error

"""Synchronous workflows: `def f(ctx, input)` in a thread of its own, with the operations of Context, blocking.

A thread of its own and not one of the pool's: the pool runs the steps that such a workflow waits for, and would be
full of workflows waiting. A suspended turn needs no thread: it unwinds, and the replay brings a new one to the same
line.
"""

import asyncio
import uuid as uuids
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelledError
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from argosy.workflow.context import Context
from argosy.workflow.threads import Label, Pool

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_UNWIND_TIMEOUT_S: Final = 1.0


class Unwind(BaseException):
    """Ends the thread of a turn that is suspended, stopped or lost. Not an Exception, so that no `except Exception`
    swallows it; what `finally` blocks do on the way must not use ctx, which raises it again.
    """


class SyncContext:
    """What a synchronous workflow gets as ctx. Used from its own thread. Context says what each operation promises."""

    __slots__ = ("_context", "_is_closed", "_loop", "_operation")

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self._is_closed = False
        self._operation: asyncio.Future[Any] | None = None

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

    def close(self) -> None:
        """On the loop: whatever the thread asks of ctx from now on, or is asking, unwinds it."""
        self._is_closed = True
        if self._operation is not None:
            self._operation.cancel()

    def _block(self, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        async def operate() -> Result:
            if self._is_closed:
                raise asyncio.CancelledError
            self._operation = asyncio.current_task()
            try:
                return await operation()
            finally:
                self._operation = None

        if self._is_closed:
            raise Unwind
        try:
            return asyncio.run_coroutine_threadsafe(operate(), self._loop).result()
        except (FutureCancelledError, asyncio.CancelledError):
            raise Unwind from None


async def run_in_own_thread(
    function: Callable[..., Any], context: Context, arguments: tuple[Any, ...], threads: Pool
) -> Any:
    """The result of a synchronous workflow. When this is cancelled the thread unwinds at its next use of ctx; a thread
    that never comes to it is abandoned after a second, and cannot write anything.
    """
    facade = SyncContext(context, asyncio.get_running_loop())
    call = partial(copy_context().run, _work, function, facade, arguments)
    job = threads.submit(call, Label(context.turn_id))
    try:
        return await asyncio.shield(job.ended)
    except Unwind:
        raise asyncio.CancelledError from None
    finally:
        facade.close()
        if not job.ended.done():
            if not threads.is_waiting(job):
                await asyncio.wait([job.ended], timeout=_UNWIND_TIMEOUT_S)
            if not job.ended.done():
                threads.give_up(job)


def _work(function: Callable[..., Any], facade: SyncContext, arguments: tuple[Any, ...]) -> Any:
    try:
        return function(facade, *arguments)
    except StopIteration as error:  # no future can hold one
        raise RuntimeError("the workflow raised StopIteration") from error

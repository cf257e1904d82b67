"""The event loop of a process of Argosy's own: nothing that user code raises ends or stops it.

asyncio lets a SystemExit or KeyboardInterrupt of a task or callback leave the loop, and `loop.stop()` stops the loop
for all tasks: a child task of one step could end the worker under all other turns. Here the error is logged and the
loop goes on: callbacks that were ready still run, and the code that awaits the task gets its error.

Rules:
- Ctrl-C ends the process as long as SIGINT has Python's own handler: then the KeyboardInterrupt comes from the user at
  the terminal, and not from code.
- A signal that arrives while the loop is left is handled when the loop goes on.
- argosy.Argosy does not use this: in the user's own program the loop is the user's, and ends as the user expects.
- Errors that Python itself would print (of a task that nothing awaits, of a finalizer) go to our log, bounded, from a
  later pass of the loop: a finalizer runs anywhere, and must not log by itself.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import structlog
import uvloop

from argosy import telemetry
from argosy.workflow.frames import kind_of, traceback_of, words_of

log = structlog.get_logger()

_STOPPED: Final = "Event loop stopped"
_WORDS_MAX: Final = 500  # of an error, which may quote anything


def _say_left(error: BaseException) -> None:
    log.error(
        telemetry.LOOP_LEFT, type=kind_of(error), message=words_of(error)[:_WORDS_MAX], traceback=traceback_of(error)
    )


def run(main: Coroutine[Any, Any, None], on_left: Callable[[BaseException], None] = _say_left) -> None:
    """Run main to its end on a new loop, then cancel the tasks that are left there. Raises what main raises.

    on_left is called with each error that left the loop, before the loop goes on.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(_unhandled)
        before, sys.unraisablehook = sys.unraisablehook, partial(_unraisable, loop)
        try:
            _complete(loop, loop.create_task(main), on_left)
        finally:
            try:
                _complete(loop, loop.create_task(_cancel_rest()), on_left)
            finally:
                sys.unraisablehook = before


def _complete(
    loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]", on_left: Callable[[BaseException], None]
) -> None:
    while not task.done():
        try:
            loop.run_until_complete(task)
        except BaseException as error:
            if task.done() and not _is_ctrl_c(error):
                break
            if not _is_left(error):
                raise
            on_left(error)
            loop.call_soon(_hear_signals)
    task.result()


def _is_left(error: BaseException) -> bool:
    """Whether the loop can go on after this error left it."""
    if isinstance(error, Exception):
        return isinstance(error, RuntimeError) and str(error).startswith(_STOPPED)
    return not _is_ctrl_c(error)


def _is_ctrl_c(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _hear_signals() -> None:
    """Wake the loop for signals that arrived while it was left: uvloop notes them, and handles them when next woken."""
    fd = signal.set_wakeup_fd(-1)
    if fd >= 0:
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
        os.write(fd, b"\0")


async def _cancel_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log, later, the error of a callback, or of a task that nothing awaits."""
    _say_later(loop, _say_unhandled, str(context.get("message")), context.get("exception"))


def _say_unhandled(message: str, error: BaseException | None) -> None:
    log.error(telemetry.LOOP_UNHANDLED, message=message[:_WORDS_MAX], exc_info=error)


def _unraisable(loop: asyncio.AbstractEventLoop, unraisable: "sys.UnraisableHookArgs") -> None:
    """Log, later, the error of a finalizer, wherever it ran."""
    _say_later(loop, _say_unraisable, unraisable.exc_type, unraisable.exc_value)


def _say_unraisable(kind: type[BaseException], error: BaseException | None) -> None:
    told = {} if error is None else {"message": words_of(error)[:_WORDS_MAX], "traceback": traceback_of(error)}
    log.warning(telemetry.UNRAISABLE, type=kind.__name__, **told)


def _say_later(loop: asyncio.AbstractEventLoop, say: Callable[..., None], *what: Any) -> None:
    """Call say(*what) in a later pass of the loop.

    A finalizer runs wherever an object is freed, in any thread, even while a line of the log is being written: taking a
    lock there could wait for itself for ever.
    """
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(say, *what)

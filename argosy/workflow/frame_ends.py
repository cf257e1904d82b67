"""How Argosy closes the frames of a workflow that its code did not end itself.

Rules:
- A frame is closed again until it has ended, at most _CLOSES_MAX times: code that awaits in a `finally` is closed
  there, too.
- An async generator that nothing holds any more ends at once, on the turn's loop, at the same place in every process.
  One that only the garbage collector finds is found at another place in each process, so none of its code runs.
"""

import gc
import inspect
import threading
import uuid
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, Final

import structlog

from argosy import telemetry
from argosy.workflow.frames import words_of

log = structlog.get_logger()

_CLOSES_MAX: Final = 20  # a frame that awaits more often than that in its `finally` blocks is left as it is

# The thread in which the garbage collector runs; 0 while it does not run.
_collecting = 0


def close(code: Coroutine[Any, Any, Any]) -> BaseException | None:
    """Close a coroutine. Returns what it raised instead of ending, or None."""
    raised: BaseException | None = None
    for _ in range(_CLOSES_MAX):
        try:
            code.close()
        except BaseException as error:  # the edge of user code
            raised = error
            if getattr(code, "cr_frame", None) is not None:
                continue  # it caught GeneratorExit, and awaits something else now
            return raised
        return None
    return raised


def say(turn_id: uuid.UUID, raised: Iterable[BaseException]) -> None:
    """Log the errors of frames that raised something instead of ending."""
    for error in raised:
        log.warning(
            telemetry.WORKFLOW_UNCLOSED, turn_id=str(turn_id), type=type(error).__name__, message=words_of(error)
        )


def close_awaited(generator: AsyncGenerator[Any, Any]) -> BaseException | None:
    """Close the coroutine that an async generator awaits.

    Until Python 3.13, closing the coroutine that iterates the generator does not close what the generator awaits: that
    would be closed only once, and its error be lost, when the generator is freed.
    """
    awaited = getattr(generator, "ag_await", None)
    return close(awaited) if inspect.iscoroutine(awaited) else None


def is_collecting() -> bool:
    """Whether the garbage collector runs in this thread."""
    return _collecting == threading.get_ident()


def _collects(phase: str, _: dict[str, int]) -> None:
    global _collecting
    _collecting = threading.get_ident() if phase == "start" else 0


gc.callbacks.append(_collects)

"""How frames of a workflow end that its code did not end itself.

Rules:
- A frame is closed until it is: what awaits in a `finally` is closed there, too, some times over.
- A generator that nobody holds any more ends at once, on the turn's loop, at the same place in every process. One that
  only the garbage collector finds is found at another place in each, so nothing of it runs.
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

_CLOSES_MAX: Final = 20  # a frame that awaits more than that in its `finally` blocks is let go of

# The thread in which the garbage collector runs; 0: it does not.
_collecting = 0


def close(code: Coroutine[Any, Any, Any]) -> BaseException | None:
    """What it raised instead of its end, if it did."""
    raised: BaseException | None = None
    for _ in range(_CLOSES_MAX):
        try:
            code.close()
        except BaseException as error:  # the edge of user code
            raised = error
            if getattr(code, "cr_frame", None) is not None:
                continue  # it awaits something else now
            return raised
        return None
    return raised


def say(turn_id: uuid.UUID, raised: Iterable[BaseException]) -> None:
    """Frames did something else than to end: they raised these."""
    for error in raised:
        log.warning(
            telemetry.WORKFLOW_UNCLOSED, turn_id=str(turn_id), type=type(error).__name__, message=words_of(error)
        )


def close_awaited(generator: AsyncGenerator[Any, Any]) -> BaseException | None:
    """Close what a generator awaits. Until Python 3.13 closing who iterates it does not: that would end once, and with
    nobody to hear of it, when the generator is freed.
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

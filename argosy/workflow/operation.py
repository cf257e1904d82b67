"""An operation that the code of a workflow has begun, until its outcome is delivered or the code gives it up."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from argosy.workflow.definition import Step
from argosy.workflow.journal import WaitKind
from argosy.workflow.turn_loop import Timer


class Operation:
    """key: under which its outcome is recorded. future: of the turn's loop, awaited by the code; timer: instead, for
    one that the loop waits for. is_started: it has begun outside of the code, so that giving it up is said.
    """

    __slots__ = ("future", "is_started", "key", "timer")

    def __init__(self, key: str) -> None:
        self.key = key
        self.future: asyncio.Future[Any] | None = None
        self.timer: Timer | None = None
        self.is_started = False


class StepOperation(Operation):
    """args, kwargs: what the step is called with; digest: of them. context: what its code runs in, a copy of the
    workflow's. tries: so far. wait_key: of the wait for the next try, while it is in one. task: the try that runs.
    is_ended: by us, because nobody waits for it any more.
    """

    __slots__ = ("args", "context", "digest", "function", "is_ended", "kwargs", "step", "task", "tries", "wait_key")

    def __init__(
        self, key: str, step: Step, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        super().__init__(key)
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

    def __init__(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        super().__init__(key)
        self.kind = kind
        self.name = name
        self.timeout_s = timeout_s


class ValueOperation(Operation):
    """make: the value, when nobody has made it yet; what JSON has as a string."""

    __slots__ = ("make",)

    def __init__(self, key: str, make: Callable[[], str]) -> None:
        super().__init__(key)
        self.make = make

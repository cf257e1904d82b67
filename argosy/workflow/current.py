"""Context variables that say in which attempt of a turn, and in which try of a step, code runs."""

from contextvars import ContextVar
from typing import Final, Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channels import Channels
from argosy.workflow.info import StepInfo
from argosy.workflow.tail import Tail


class Attempt(Protocol):
    """One attempt of a turn, as `emit` and `step_info` use it. Any thread may use it."""

    def begin(self, this: "Try", name: str, text: str) -> bool:
        """Begin a text for a try of a step, if the attempt has no other channel. False: the try must use `channels`.

        text: up to TOKEN_CHARACTERS_MAX characters of ASCII. Raises WorkflowError when the channel's name is not valid.
        """
        ...

    def channels(self, this: "Try | None") -> Channels | None:
        """Return the channels that a try of a step, or the workflow (None), emits to; None: nobody may see what it
        emits.

        Raises WorkflowError when the try or the workflow is over.
        """
        ...

    def info(self, this: "Try") -> StepInfo:
        """Return what a try may know about itself."""
        ...


class Try(msgspec.Struct, eq=False):
    """One try of a step.

    number: of the try, from 1; is_private: nothing of the step is shown; is_over: its code has ended, or the workflow
    no longer waits for it. tail: the end of the text that the try filled last, while it may append there without the
    lock.
    """

    attempt: Attempt
    step_key: str
    number: int
    is_private: bool
    is_over: bool = False
    tail: Tail | None = None


# Set for the whole attempt, and for one try. The thread of a synchronous step runs in a copy of the context.
current_attempt: Final[ContextVar[Attempt | None]] = ContextVar("argosy_attempt", default=None)
current_try: Final[ContextVar[Try | None]] = ContextVar("argosy_try", default=None)


def step_info() -> StepInfo:
    """Return the step that this code runs in, and its try. Raises WorkflowError outside a step."""
    this = current_try.get()
    if this is None:
        raise WorkflowError("step_info() works inside a step that a workflow runs with ctx.run(...), and nowhere else")
    return this.attempt.info(this)

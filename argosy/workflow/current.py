"""Where the code of a turn runs: in which attempt of it, and in which try of a step."""

from contextvars import ContextVar
from typing import Final, Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channels import Channels
from argosy.workflow.info import StepInfo
from argosy.workflow.tail import Tail


class Attempt(Protocol):
    """One attempt of a turn, as what its code calls needs it. Used from any thread."""

    def begin(self, this: "Try", name: str, text: str) -> bool:
        """A try of a step fills a text, if nothing else is open. False: it takes `channels`. text: up to
        TOKEN_CHARACTERS_MAX characters of ASCII. Raises WorkflowError for a name that is none.
        """
        ...

    def channels(self, this: "Try | None") -> Channels | None:
        """Where a try of a step, or the workflow (None), fills its channels; None: nobody may see them. Raises
        WorkflowError when it is over.
        """
        ...

    def info(self, this: "Try") -> StepInfo:
        """What a try may know about itself."""
        ...


class Try(msgspec.Struct, eq=False):
    """One try of a step. number: from 1, of the step; is_private: nothing of it is shown; is_over: its code has ended,
    or nobody waits for it any more. tail: the text that it has filled last, while it may go on there.
    """

    attempt: Attempt
    step_key: str
    number: int
    is_private: bool
    is_over: bool = False
    tail: Tail | None = None


# Set for the whole of an attempt, and for the time of one try. The thread of a synchronous step has a copy.
current_attempt: Final[ContextVar[Attempt | None]] = ContextVar("argosy_attempt", default=None)
current_try: Final[ContextVar[Try | None]] = ContextVar("argosy_try", default=None)


def step_info() -> StepInfo:
    """The step that this code runs in. Raises WorkflowError outside a step."""
    this = current_try.get()
    if this is None:
        raise WorkflowError("step_info() works inside a step that a workflow runs with ctx.run(...), and nowhere else")
    return this.attempt.info(this)

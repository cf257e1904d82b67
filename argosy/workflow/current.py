"""In which attempt of a turn, and in which try of a step, code runs: context variables, and what a step may know."""

import uuid
from contextvars import ContextVar
from typing import Final, Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.identity.turn_principal import TurnPrincipal
from argosy.workflow.channels import Channels
from argosy.workflow.graphs import TurnGraphs
from argosy.workflow.tail import Tail


class StepInfo(msgspec.Struct, frozen=True, gc=False):
    """One try of one step.

    step_key: the step's name, then #n from its second call on; with the number of the task and a slash before it unless
    the workflow's first task calls the step (argosy/turn/keys.py). attempt: of the turn; every re-execution raises
    it. try_number: of the step, from 1; every retry raises it. principal: who posted the turn; a turn that another turn
    started has that one's. None: it is not known.
    """

    turn_id: uuid.UUID
    step_key: str
    attempt: int
    try_number: int
    principal: TurnPrincipal | None = None

    @property
    def idempotency_key(self) -> str:
        """turn_id/step_key: the same in every attempt and every try, so that an effect under this key happens once."""
        return f"{self.turn_id}/{self.step_key}"


class CurrentAttempt(Protocol):
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

    def graphs(self, this: "Try") -> TurnGraphs:
        """Return the graphs that a try may read. Raises SettingError, and WorkflowError when the try is over."""
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

    attempt: CurrentAttempt
    step_key: str
    number: int
    is_private: bool
    is_over: bool = False
    tail: Tail | None = None


# Set for the whole attempt, and for one try. The thread of a synchronous step runs in a copy of the context.
current_attempt: Final[ContextVar[CurrentAttempt | None]] = ContextVar("argosy_attempt", default=None)
current_try: Final[ContextVar[Try | None]] = ContextVar("argosy_try", default=None)


def step_info() -> StepInfo:
    """Return the step that this code runs in, and its try. Raises WorkflowError outside a step."""
    this = current_try.get()
    if this is None:
        raise WorkflowError("step_info() works inside a step that a workflow runs with ctx.run(...), and nowhere else")
    return this.attempt.info(this)

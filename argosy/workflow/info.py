"""What a step may know about itself: `argosy.step_info()`, also in the threads of synchronous steps."""

import uuid
from contextvars import ContextVar

import msgspec

from argosy.errors import WorkflowError


class StepInfo(msgspec.Struct, frozen=True, gc=False):
    """One try of one step.

    step_key: the step's name, then #n from its second call in the turn on. attempt: of the turn, grows with every
    re-execution. try_number: of the step, from 1, grows with every retry.
    """

    turn_id: uuid.UUID
    step_key: str
    attempt: int
    try_number: int

    @property
    def idempotency_key(self) -> str:
        """turn_id/step_key: the same in every attempt and every try, so that an effect under it happens once."""
        return f"{self.turn_id}/{self.step_key}"


class PrivateStepInfo(StepInfo, frozen=True, gc=False):
    """One try of a step that is private: nothing of it is shown."""


# Set for the time of one try; a thread of a synchronous step runs in a copy of the context.
current: ContextVar[StepInfo | None] = ContextVar("argosy_step", default=None)


def step_info() -> StepInfo:
    """The step that this code runs in. Raises WorkflowError outside a step."""
    info = current.get()
    if info is None:
        raise WorkflowError("step_info() works inside a step that a workflow runs with ctx.run(...), and nowhere else")
    return info

"""What a step may know about itself."""

import uuid

import msgspec


class StepInfo(msgspec.Struct, frozen=True, gc=False):
    """One try of one step.

    step_key: the step's name, then #n from its second call on; with the number of the task and a slash before it unless
    the workflow's first task calls the step (argosy/workflow/keys.py). attempt: of the turn; every re-execution raises
    it. try_number: of the step, from 1; every retry raises it.
    """

    turn_id: uuid.UUID
    step_key: str
    attempt: int
    try_number: int

    @property
    def idempotency_key(self) -> str:
        """turn_id/step_key: the same in every attempt and every try, so that an effect under this key happens once."""
        return f"{self.turn_id}/{self.step_key}"

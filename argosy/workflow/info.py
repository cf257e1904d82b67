"""What a step may know about itself."""

import uuid

import msgspec


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

"""Turns of our partitions that are not here: another worker runs them, or a step of them."""

import uuid
from typing import NamedTuple

from argosy.workers.dispatch.owned import Owned, Resume

_NOBODY = uuid.UUID(int=0)


class HeldTurn(NamedTuple):
    """A turn of which a step still runs at another worker. runner: that worker, as WORKER/EPOCH; until_s: until when to
    wait for it, monotonic; resume: how the turn goes on when the runner is done; is_hurried: the turn is cancelled.
    """

    owned: Owned
    runner: str
    until_s: float
    resume: Resume
    is_hurried: bool = False

    @property
    def runner_id(self) -> uuid.UUID:
        """The runner's worker id; the zero UUID when the note names none."""
        try:
            return uuid.UUID(self.runner.partition("/")[0])
        except ValueError:
            return _NOBODY


class Lent(NamedTuple):
    """A turn that another worker borrows. seq: how many events it had at the last look."""

    owned: Owned
    session_id: uuid.UUID
    bucket: int
    borrower: uuid.UUID
    resume: Resume
    seq: int


class Elsewhere:
    """What this worker knows of such turns. `held` is changed by Takeover alone, `lent` by Lending alone."""

    def __init__(self) -> None:
        self.held: dict[uuid.UUID, HeldTurn] = {}
        self.lent: dict[uuid.UUID, Lent] = {}

    def has(self, turn_id: uuid.UUID) -> bool:
        """Whether the turn is held or lent."""
        return self.is_held(turn_id) or turn_id in self.lent

    def is_held(self, turn_id: uuid.UUID) -> bool:
        """Whether the turn waits here for a step that still runs at another worker."""
        held = self.held.get(turn_id)
        return held is not None and not held.owned.is_void

"""What an accept came to: facts that the intake hands to the rest of the worker."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.turn import Turn


@dataclass(slots=True, eq=False)
class Accepted:
    """What became of the records of one accept.

    at: the database's time. placed: turns that have their place, each with whether nothing of its session stood before
    it. settled: turns of records that got no place: a duplicate, rejected, delayed, accepted before, or a dead letter.
    lost: partitions whose fence did not hold. read: what this process did while the accept was under way.
    """

    at: datetime
    placed: list[tuple[Turn, bool]]
    settled: list[uuid.UUID]
    lost: list[Owned]
    read: Read


class AfterAccept(Protocol):
    """What an intake tells. Nothing of it may wait."""

    def after_accept(self, accepted: Accepted) -> None: ...

    def after_losses(self, lost: list[Owned]) -> None: ...

"""What happens to partitions of this worker, and to whom it is told."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from argosy.store.partition import Claimed
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.turn import Turn


class NewClaim(NamedTuple):
    """A partition that this worker has claimed, with what Postgres said of the claim before."""

    owned: Owned
    claim: Claimed


@dataclass(slots=True, eq=False)
class Loss:
    """A partition that is not ours any more, with what memory knew of it then.

    turns: those that memory had. has_unread: some of its heads were never read here. is_taking_up: a turn that is to
    begin again was on its way into memory, or held.
    """

    owned: Owned
    turns: list[Turn]
    has_unread: bool
    is_taking_up: bool


@dataclass(slots=True, eq=False)
class Released:
    """A turn that was held for a step at another worker, and goes on."""

    turn_id: uuid.UUID
    owned: Owned
    resume: Resume


def by_former_owner(claimed: Iterable[NewClaim]) -> dict[uuid.UUID, list[int]]:
    """Return the partitions that each former owner had."""
    found: dict[uuid.UUID, list[int]] = {}
    for owned, claim in claimed:
        if claim.former_owner is not None:
            found.setdefault(claim.former_owner, []).append(owned.partition)
    return found


class AfterClaims(Protocol):
    """What Ownership tells."""

    def after_claim(self, claimed: list[NewClaim]) -> None:
        """Partitions were claimed."""

    def after_loss(self, gone: list[Owned]) -> None:
        """Partitions are not ours any more; told once per claim."""


class AfterTakeover(Protocol):
    """What Takeover tells."""

    def after_opening(self, opened: list[Owned]) -> None:
        """Turns of these partitions that wait in Postgres may run."""

    def after_release(self, released: Released) -> None:
        """A held turn may run."""


class AfterHandover(Protocol):
    """What Handover tells."""

    def after_handover(self, turn: Turn) -> None:
        """Nothing of the turn runs here any more."""

    def after_telling(self, turn: Turn) -> None:
        """A row for the turn was written, which its owner should read."""

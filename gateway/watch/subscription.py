"""What one client wants to hear, and one place where it is asked for: a worker, on the line to it."""

import uuid
from typing import Any, NamedTuple, Protocol

from argosy.signed_call import Callee


class Wanted(NamedTuple):
    """Exactly one of turn_id and session_id is there, the tenant's. is_ending_only: nothing but the turn's end."""

    tenant: str
    partition: int
    turn_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    is_ending_only: bool = False


class Hearer(Protocol):
    """Whom a subscription belongs to. Called on the event loop; must not wait."""

    def hear(self, subscription: "Subscription", item: Any) -> None:
        """item: an Item of proto/argosy/rpc/watch.proto."""
        ...

    def lose(self, subscription: "Subscription") -> None:
        """Nothing more is heard of it."""
        ...


class Subscription:
    """callee, epoch: whom it is meant for. resume: (attempt, n) of the last frame had. is_live: it was
    answered. owed_bytes: taken by the client, and not given back to the worker yet.
    """

    __slots__ = (
        "callee",
        "credit_bytes",
        "epoch",
        "hearer",
        "id",
        "is_frames_only",
        "is_live",
        "owed_bytes",
        "resume",
        "wanted",
    )

    def __init__(
        self,
        hearer: Hearer,
        wanted: Wanted,
        callee: Callee,
        *,
        epoch: int,
        resume: tuple[int, int],
        credit_bytes: int,
        is_frames_only: bool = False,
    ) -> None:
        self.id = 0
        self.hearer = hearer
        self.wanted = wanted
        self.callee = callee
        self.epoch = epoch
        self.resume = resume
        self.credit_bytes = credit_bytes
        self.is_frames_only = is_frames_only
        self.is_live = False
        self.owed_bytes = 0

"""The target that one client follows, and a subscription to it at one worker."""

import uuid
from typing import Any, NamedTuple, Protocol

from argosy.rpc.signed_call import Callee


class Target(NamedTuple):
    """A turn or a session of this tenant: exactly one of turn_id and session_id is there.

    is_ending_only: nothing but the turn's end, or that it is parked.
    """

    tenant: str
    partition: int
    turn_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    is_ending_only: bool = False


class Receiver(Protocol):
    """The object that gets what a subscription brings. The connection calls it on the event loop; it must not wait."""

    def receive(self, subscription: "Subscription", item: Any) -> None:
        """Take an item, an Item of proto/argosy/rpc/watch.proto."""
        ...

    def lose(self, subscription: "Subscription") -> None:
        """Learn that the subscription is over and brings nothing more."""
        ...


class Subscription:
    """A subscription at one worker. callee, epoch: the worker and the claim that it is meant for.

    resume: (attempt, n) of the last frame that the client has. is_live: the worker has accepted the subscription.
    owed_bytes: what the client took, and the worker has got no credit for yet.
    """

    __slots__ = (
        "callee",
        "credit_bytes",
        "epoch",
        "id",
        "is_frames_only",
        "is_live",
        "owed_bytes",
        "receiver",
        "resume",
        "target",
    )

    def __init__(
        self,
        receiver: Receiver,
        target: Target,
        callee: Callee,
        *,
        epoch: int,
        resume: tuple[int, int],
        credit_bytes: int,
        is_frames_only: bool = False,
    ) -> None:
        self.id = 0
        self.receiver = receiver
        self.target = target
        self.callee = callee
        self.epoch = epoch
        self.resume = resume
        self.credit_bytes = credit_bytes
        self.is_frames_only = is_frames_only
        self.is_live = False
        self.owed_bytes = 0

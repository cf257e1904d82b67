"""Turns for a scheduler, and what it picks."""

import uuid

from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

OWNED = Owned(0, epoch=1, buckets=(0, 1023))


def make_turn(session: str, place: int, *, tenant: str = "a", priority: int = 0, owned: Owned = OWNED) -> Turn:
    return Turn(
        owned=owned,
        turn_id=uuid.uuid4(),
        tenant=tenant,
        session_id=uuid.uuid5(uuid.NAMESPACE_OID, session),
        session_name=session,
        bucket=0,
        place=place,
        workflow="echo",
        priority=priority,
        input=b"null",
    )


def picked_sessions(scheduler: Scheduler) -> list[str]:
    picked = []
    while (turn := scheduler.pick()) is not None:
        picked.append(turn.session_name)
    return picked

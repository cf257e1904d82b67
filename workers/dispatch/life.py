"""Who lives, who watches whom, and who takes over what: decisions over facts that Postgres tells. Pure."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

# A connection that was merely cut is opened again within this: a live step is not run again for it.
LOCK_GRACE_S: Final = 0.25
# After a start of Postgres nobody's lock is there at first: for so long only the beats count.
SERVER_GRACE_S: Final = 5.0
# However many workers there are: a beat or two may be late before one is taken for dead (or shown as silent).
BEATS_PER_TTL: Final = 4
# Somebody looks so often without being told to: for what stopped without dying.
LOOK_S: Final = 3.0


class Member(NamedTuple):
    """A worker process as everybody sees it."""

    worker_id: uuid.UUID
    worker_no: int
    lane: str
    address: str
    is_draining: bool
    is_alive: bool


def is_alive(*, lock_free_s: float | None, heard_s_ago: float, server_up_s: float, ttl_s: float) -> bool:
    """lock_free_s: for how long its lock has been seen free, None when it is held. The lock is free within milliseconds
    of a death; the beats, counted from the start of the server at the earliest, bound what stops without dying.
    """
    if min(heard_s_ago, server_up_s) > ttl_s:
        return False
    if lock_free_s is None or server_up_s < SERVER_GRACE_S:
        return True
    return lock_free_s < LOCK_GRACE_S


def neighbour(members: Sequence[Member], worker_no: int) -> Member | None:
    """The living worker that the one with this number watches: the next in the ring."""
    others = sorted((each for each in members if each.is_alive and each.worker_no != worker_no), key=_number)
    return next((each for each in others if each.worker_no > worker_no), others[0] if others else None)


def look_after_s(members: Sequence[Member], worker_no: int, *, is_first_round: bool) -> float:
    """When to look again without being told to. News make all look at once; from then on the living take turns, one
    every LOOK_S, however many they are.
    """
    living = sorted({each.worker_no for each in members if each.is_alive} | {worker_no})
    return LOOK_S * (living.index(worker_no) + 1 if is_first_round else len(living))


def beat_after_s(members: Sequence[Member], *, interval_s: float, ttl_s: float) -> float:
    """How long one beat follows the other: many workers beat more rarely, so that together they say little more than
    one does, up to a quarter of the time after which a silent one is taken for dead.
    """
    living = sum(each.is_alive for each in members)
    return max(interval_s, min(interval_s * living, ttl_s / BEATS_PER_TTL))


def adopter(partition: int, lane: str, members: Sequence[Member]) -> uuid.UUID | None:
    """Who takes over a partition that nobody living owns: rendezvous hashing over the living workers of its lane, so
    that all of them come to the same answer, and few answers change when one more dies.
    """
    able = [each.worker_id for each in members if each.is_alive and not each.is_draining and each.lane == lane]
    return max(able, key=lambda worker_id: _weight(worker_id, partition), default=None)


def _number(member: Member) -> int:
    return member.worker_no


def _weight(worker_id: uuid.UUID, partition: int) -> bytes:
    return hashlib.blake2b(worker_id.bytes + partition.to_bytes(4, "big"), digest_size=8).digest()

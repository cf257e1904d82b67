"""The ring of the living workers: which watches which, who looks when, which takes over a partition. Pure.

Which of them live is decided in argosy/life.py.
"""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

from argosy.life import BEATS_PER_TTL

# Some worker looks at the fleet this often without having been told to: one that stopped without dying tells nobody.
LOOK_S: Final = 3.0


class RingWorker(NamedTuple):
    """A worker process as other workers see it."""

    worker_id: uuid.UUID
    worker_no: int
    lane: str
    address: str
    is_draining: bool
    is_alive: bool


def neighbour(workers: Sequence[RingWorker], worker_no: int) -> RingWorker | None:
    """Return the living worker that number worker_no watches: the next one in the ring, or None when it is alone."""
    others = sorted((each for each in workers if each.is_alive and each.worker_no != worker_no), key=_number)
    return next((each for each in others if each.worker_no > worker_no), others[0] if others else None)


def look_after_s(workers: Sequence[RingWorker], worker_no: int, *, is_first_round: bool) -> float:
    """Return in how many seconds to look at the fleet again, unless there is news before. News makes all workers look
    at once; from then on the living take turns, so that one of them looks every LOOK_S, however many there are.

    is_first_round: the last look was not this worker's turn, but after news; its place among the living decides.
    """
    living = sorted({each.worker_no for each in workers if each.is_alive} | {worker_no})
    return LOOK_S * (living.index(worker_no) + 1 if is_first_round else len(living))


def beat_after_s(workers: Sequence[RingWorker], *, interval_s: float, ttl_s: float) -> float:
    """Return the seconds between two heartbeats of a worker. The interval grows with the number of living workers, so
    that all of them together beat little more often than one, but stays within a quarter of ttl_s, after which a silent
    worker is taken for dead.
    """
    living = sum(each.is_alive for each in workers)
    return max(interval_s, min(interval_s * living, ttl_s / BEATS_PER_TTL))


def adopter(partition: int, lane: str, workers: Sequence[RingWorker]) -> uuid.UUID | None:
    """Return the worker that takes over a partition that no living worker owns, or None when no worker can.

    Rendezvous hashing over the living workers of the lane that do not drain: all of them come to the same answer, and
    few answers change when one more dies.
    """
    able = [each.worker_id for each in workers if each.is_alive and not each.is_draining and each.lane == lane]
    return max(able, key=lambda worker_id: _weight(worker_id, partition), default=None)


def _number(worker: RingWorker) -> int:
    return worker.worker_no


def _weight(worker_id: uuid.UUID, partition: int) -> bytes:
    return hashlib.blake2b(worker_id.bytes + partition.to_bytes(4, "big"), digest_size=8).digest()

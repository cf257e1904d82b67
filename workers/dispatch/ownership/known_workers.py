"""The workers of the fleet as this worker last heard of them, and which of them live.

A worker that it has not heard of may have started since: for NEW_S it is taken for living. (A worker that is gone for
good is not known either; it has left its notes, or had nothing to leave.)
"""

import uuid
from collections.abc import Sequence
from typing import Final

from argosy.clock import Clock
from argosy.workers.dispatch.ring import RingWorker

NEW_S: Final = 3.0  # a worker that starts notifies all others: they have looked within this, however busy the machine


class KnownWorkers:
    """The workers of all lanes, this worker among them. worker_id, lane: of this worker."""

    def __init__(self, clock: Clock, worker_id: uuid.UUID, lane: str) -> None:
        self._clock = clock
        self.worker_id = worker_id
        self.lane = lane
        self._unknown_since_s: dict[uuid.UUID, float] = {}
        self.all: Sequence[RingWorker] = ()
        # Whether `told` was called yet.
        self.are_known = False

    def told(self, workers: Sequence[RingWorker]) -> None:
        self.all = workers
        self.are_known = True
        known = {each.worker_id for each in workers}
        self._unknown_since_s = {each: at_s for each, at_s in self._unknown_since_s.items() if each not in known}

    def is_living(self, worker_id: uuid.UUID) -> bool:
        if worker_id == self.worker_id:
            return True
        found = next((each for each in self.all if each.worker_id == worker_id), None)
        if found is not None:
            return found.is_alive
        now_s = self._clock.monotonic_s()
        return now_s - self._unknown_since_s.setdefault(worker_id, now_s) < NEW_S

    def address_of(self, worker_id: uuid.UUID) -> str:
        """Return the address of a living worker, or "" when it does not live or is not known."""
        return next((each.address for each in self.all if each.worker_id == worker_id and each.is_alive), "")

    @property
    def living(self) -> list[uuid.UUID]:
        return [each.worker_id for each in self.all if each.is_alive]

    @property
    def is_anyone_draining(self) -> bool:
        return any(each.is_draining and each.is_alive for each in self.all)

    @property
    def has_company(self) -> bool:
        """Whether another worker of the lane could take over: it lives, and does not drain."""
        return any(
            each.is_alive and not each.is_draining and each.lane == self.lane and each.worker_id != self.worker_id
            for each in self.all
        )

"""The workers of a fleet, as a test says."""

import uuid
from collections.abc import Callable

from argosy.clock import SystemClock
from argosy.workers.dispatch.ownership.known_workers import KnownWorkers


class KnownWorkersStub(KnownWorkers):
    """No worker is known. is_living: says which workers live; address: the address of every worker."""

    def __init__(self, is_living: Callable[[uuid.UUID], bool], address: str = "") -> None:
        super().__init__(SystemClock(), uuid.uuid4(), "default")
        self._is_living = is_living
        self._address = address

    def is_living(self, worker_id: uuid.UUID) -> bool:
        return self._is_living(worker_id)

    def address_of(self, worker_id: uuid.UUID) -> str:
        return self._address

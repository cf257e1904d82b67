"""Which workflows the living workers of this lane can run. What a worker can run never changes while it lives."""

import hashlib
import uuid
from collections.abc import Sequence

from argosy.store.build import Builds
from argosy.workers.dispatch.ownership.known_workers import KnownWorkers


class Abilities:
    """Finds a worker that has a workflow."""

    def __init__(self, builds: Builds, worker_id: uuid.UUID, lane: str, fleet: KnownWorkers) -> None:
        self._builds = builds
        self._worker_id = worker_id
        self._lane = lane
        self._fleet = fleet
        # By worker: each (name, version) that it has, and (name, None) for turns that have not begun anywhere yet.
        self._known: dict[uuid.UUID, set[tuple[str, str | None]]] = {}
        self._able: dict[tuple[str, str | None], list[uuid.UUID]] = {}  # as of the last look

    async def look(self) -> None:
        """Read what the workers that came since the last look can run. Raises StoreUnavailableError."""
        self._able.clear()
        living = {each.worker_id for each in self._fleet.all if each.is_alive and each.lane == self._lane}
        self._known = {worker_id: can for worker_id, can in self._known.items() if worker_id in living}
        new = living - self._known.keys() - {self._worker_id}
        if not new:
            return
        found: dict[uuid.UUID, set[tuple[str, str | None]]] = {worker_id: set() for worker_id in new}
        for each in await self._builds.abilities(new):
            found[each.worker_id] |= {(each.name, each.version), (each.name, None)}
        self._known |= found

    def borrower(self, workflow: str, version: str | None, turn_id: uuid.UUID) -> uuid.UUID | None:
        """Return another worker that has the workflow and does not drain, or None when there is none.

        A turn gets the same worker each time, as long as that one lives and no worker with a greater weight comes.
        """
        wanted = workflow, version
        if wanted not in self._able:
            free = {each.worker_id for each in self._fleet.all if each.is_alive and not each.is_draining}
            self._able[wanted] = [each for each, can in self._known.items() if each in free and wanted in can]
        return max(self._able[wanted], key=lambda each: _weight(each, turn_id), default=None)

    async def lacking(self, turn_ids: Sequence[uuid.UUID], wait_s: float) -> set[uuid.UUID]:
        """Return those of these turns whose workflow no worker of the lane has had for wait_s."""
        return await self._builds.lacking(turn_ids, wait_s)

    def is_living(self, borrower: uuid.UUID) -> bool:
        return self._fleet.is_living(borrower)


def _weight(worker_id: uuid.UUID, turn_id: uuid.UUID) -> bytes:
    """The worker's weight for this turn (rendezvous hashing): the able worker with the greatest one borrows it."""
    return hashlib.blake2b(worker_id.bytes + turn_id.bytes, digest_size=8).digest()

"""Hints from this worker to other workers, so that they look at once instead of at their next poll."""

import asyncio
import uuid
from collections.abc import Iterable
from typing import Final

from argosy.errors import StoreUnavailableError
from argosy.rpc.poke import Poker
from argosy.rpc.signed_call import Callee
from argosy.store import catalog
from argosy.store.pool import Pool
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.ownership.known_workers import KnownWorkers
from argosy.workers.dispatch.poke import AfterPoke
from argosy.workers.dispatch.turn import Turn

# For how long a list of owners is used. An owner that gets no hint because its partition moved meanwhile finds the row
# at its next poll.
_OWNERS_S: Final = 0.5


class Others:
    """The sender of hints. address: this worker's own; of a hint for itself it tells `then`."""

    def __init__(self, poker: Poker, pool: Pool, fleet: KnownWorkers, lane: str, address: str, then: AfterPoke) -> None:
        self._poker = poker
        self._pool = pool
        self._fleet = fleet
        self._lane = lane
        self._address = address
        self._then = then
        self._owners: dict[int, catalog.Owner] = {}
        self._owners_at_s = float("-inf")

    def ask(self, partitions_of: dict[uuid.UUID, list[int]]) -> None:
        """Tell former owners (worker → partitions) that this worker has claimed these partitions.

        A former owner that does not hear it finds out by itself, later.
        """
        for worker_id, partitions in partitions_of.items():
            address = self._fleet.address_of(worker_id)
            if address and address != self._address:
                self._poker.poke(Callee(worker_id, address), claimed_partitions=partitions)

    async def tell(self, turn: Turn) -> None:
        """Tell the worker that owns the turn's partition now that a row for the turn is in the inbox."""
        try:
            owner = (await catalog.list_owners(self._pool, self._lane)).get(turn.owned.partition)
        except StoreUnavailableError:
            return
        if owner is None:
            return
        if owner.address == self._address:
            self._then.after_poke([turn.bucket])
        else:
            self._poker.poke(Callee(owner.worker_id, owner.address), inbox_buckets=[turn.bucket])

    def tell_borrower(self, worker_id: uuid.UUID, buckets: Iterable[int]) -> None:
        """Tell a worker to look at these buckets, of which it borrows turns."""
        self._poke(worker_id, self._fleet.address_of(worker_id), buckets)

    def _poke(self, worker_id: uuid.UUID, address: str, buckets: Iterable[int]) -> None:
        if address == self._address:
            self._then.after_poke(list(buckets))
        elif address:
            self._poker.poke(Callee(worker_id, address), inbox_buckets=buckets)

    async def tell_owners(self, buckets: Iterable[int], claims: Claims) -> None:
        """Tell the workers that own these buckets now to look at what became of the turns there."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._owners_at_s > _OWNERS_S:
            try:
                self._owners = await catalog.list_owners(self._pool, self._lane)
            except StoreUnavailableError:
                return
            self._owners_at_s = now_s
        owners = self._owners
        for bucket in buckets:
            if (owner := owners.get(claims.partition_of(bucket))) is not None:
                self._poke(owner.worker_id, owner.address, [bucket])

    async def close(self) -> None:
        await self._poker.close()

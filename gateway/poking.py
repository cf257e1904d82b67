"""Whom to poke: the owners of the partitions that something is due for, as far as they are known."""

import asyncio
import uuid
from collections.abc import Iterable

from argosy import ids
from argosy.clock import Clock
from argosy.poke import Hint, Poker
from gateway.catalog import Catalog


class Poking:
    """Pokes owners. Never waits, never raises: a worker that hears nothing looks by itself."""

    def __init__(self, secret: bytes, lane: str, clock: Clock, catalog: Catalog, partition_count: int) -> None:
        self._catalog = catalog
        self._partition_count = partition_count
        self._poker = Poker(secret, lane, clock, self._look_again)
        self._looking: set[asyncio.Task[None]] = set()

    def new_inbox_row(self, bucket: int, turn_id: uuid.UUID) -> None:
        """A row for this turn, in this bucket, is committed."""
        self._poke(Hint(inbox_buckets=frozenset((bucket,)), inbox_turn_ids=frozenset((turn_id.bytes,))))

    def new_records(self, partitions: Iterable[int]) -> None:
        """These partitions of a Postgres log have new records."""
        self._poke(Hint(log_partitions=frozenset(partitions)))

    async def close(self) -> None:
        for task in self._looking:
            task.cancel()
        await self._poker.close()

    def _poke(self, hint: Hint, but_not: str | None = None) -> None:
        """Tell every owner its part. but_not: an address that has just failed."""
        for partition in hint.log_partitions:
            owner = self._catalog.owner_of(partition)
            if owner and owner.address != but_not:
                self._poker.poke(owner.address, log_partitions=(partition,))
        for bucket in hint.inbox_buckets:
            owner = self._catalog.owner_of(ids.partition_of(bucket, self._partition_count))
            if owner and owner.address != but_not:
                turn_ids = [each for each in hint.inbox_turn_ids if ids.turn_bucket(uuid.UUID(bytes=each)) == bucket]
                self._poker.poke(owner.address, inbox_buckets=(bucket,), inbox_turn_ids=turn_ids)

    def _look_again(self, address: str, hint: Hint) -> None:
        """A poke did not arrive: its partitions may have a new owner. One look at a time."""
        if self._looking:
            return
        task = asyncio.get_running_loop().create_task(self._poke_new_owners(address, hint))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _poke_new_owners(self, address: str, hint: Hint) -> None:
        await self._catalog.refresh()
        self._poke(hint, but_not=address)

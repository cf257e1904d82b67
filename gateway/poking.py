"""Whom to poke: the owners of the partitions that something is due for, as far as they are known."""

import asyncio
import uuid
from collections.abc import Iterable

from argosy import ids
from argosy.clock import Clock
from argosy.gateway.catalog import Catalog
from argosy.poke import Hint, Poker
from argosy.signed_call import Callee


class Poking:
    """Pokes owners. Never waits, never raises: a worker that hears nothing looks by itself."""

    def __init__(self, key: bytes, lane: str, clock: Clock, catalog: Catalog, partition_count: int) -> None:
        self._catalog = catalog
        self._partition_count = partition_count
        self._poker = Poker(key, lane, clock, self._look_again)
        self._looking: set[asyncio.Task[None]] = set()

    def new_inbox_row(self, bucket: int, *, is_urgent: bool = True) -> None:
        """A row in this bucket is committed. Not urgent: its turn's owner was told of it before, and could use that."""
        self._poke(Hint(inbox_buckets=frozenset((bucket,))), is_urgent=is_urgent)

    def new_signal(self, turn_id: uuid.UUID, tenant: str) -> None:
        """A signal to this turn is written next: its owner may read the turn while that is being done."""
        self._poke(Hint(signalled_turns=frozenset(((tenant, turn_id),))))

    def new_records(self, partitions: Iterable[int]) -> None:
        """These partitions of a Postgres log have new records."""
        self._poke(Hint(log_partitions=frozenset(partitions)))

    async def close(self) -> None:
        for task in self._looking:
            task.cancel()
        await self._poker.close()

    def _poke(self, hint: Hint, *, but_not: Callee | None = None, is_urgent: bool = True) -> None:
        """Tell every owner its part. but_not: who has just failed."""
        for partition in hint.log_partitions:
            if owner := self._owner_of(partition, but_not):
                self._poker.poke(owner, log_partitions=(partition,), is_urgent=is_urgent)
        for bucket in hint.inbox_buckets:
            if owner := self._owner_of(ids.partition_of(bucket, self._partition_count), but_not):
                self._poker.poke(owner, inbox_buckets=(bucket,), is_urgent=is_urgent)
        for turn in hint.signalled_turns:
            bucket = ids.turn_bucket(turn[1])
            if owner := self._owner_of(ids.partition_of(bucket, self._partition_count), but_not):
                self._poker.poke(owner, signalled_turns=(turn,), is_urgent=is_urgent)

    def _owner_of(self, partition: int, but_not: Callee | None) -> Callee | None:
        owner = self._catalog.owner_of(partition)
        callee = None if owner is None else Callee(owner.worker_id, owner.address)
        return None if callee == but_not else callee

    def _look_again(self, failed: Callee, hint: Hint) -> None:
        """A poke did not arrive: its partitions may have a new owner. One look at a time."""
        if self._looking:
            return
        task = asyncio.get_running_loop().create_task(self._poke_new_owners(failed, hint))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _poke_new_owners(self, failed: Callee, hint: Hint) -> None:
        await self._catalog.refresh()
        self._poke(hint, but_not=failed)

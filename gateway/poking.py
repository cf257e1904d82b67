"""Pokes of a gateway to the owners of partitions for which something is due, as far as the catalog knows them."""

import asyncio
import uuid
from collections.abc import Iterable

from argosy import ids
from argosy.clock import Clock
from argosy.gateway.catalog import Catalog
from argosy.rpc.poke import Hint, Poker
from argosy.rpc.signed_call import Callee
from argosy.rpc.tls import Tls


class Poking:
    """Pokes owners. Never waits and never raises: a worker that gets no poke looks by itself, later."""

    def __init__(
        self, key: bytes, lane: str, clock: Clock, catalog: Catalog, partition_count: int, tls: Tls | None = None
    ) -> None:
        self._catalog = catalog
        self._partition_count = partition_count
        self._poker = Poker(key, lane, clock, self, tls)
        self._looking: set[asyncio.Task[None]] = set()

    def new_inbox_row(self, bucket: int, *, is_urgent: bool = True) -> None:
        """Poke the owner of this bucket: a row in its inbox is committed.

        is_urgent=False: the owner heard of the row before it was written (`new_signal`), and could act on that.
        """
        self._poke(Hint(inbox_buckets=frozenset((bucket,))), is_urgent=is_urgent)

    def new_signal(self, turn_id: uuid.UUID, tenant: str) -> None:
        """Poke the turn's owner before a signal to the turn is written: it may read the turn in the meantime."""
        self._poke(Hint(signalled_turns=frozenset(((tenant, turn_id),))))

    def new_records(self, partitions: Iterable[int]) -> None:
        """Poke the owners of these partitions of a Postgres log: they have new records."""
        self._poke(Hint(log_partitions=frozenset(partitions)))

    async def close(self) -> None:
        for task in self._looking:
            task.cancel()
        await self._poker.close()

    def _poke(self, hint: Hint, *, but_not: Callee | None = None, is_urgent: bool = True) -> None:
        """Send every owner its part of the hint. but_not: the worker that has just failed to take it."""
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

    def after_failure(self, callee: Callee, hint: Hint) -> None:
        """Read the owners again after a poke that did not arrive, and poke new ones: partitions may have changed hands.

        Only one such look runs at a time; a poke that fails meanwhile is dropped.
        """
        if self._looking:
            return
        task = asyncio.get_running_loop().create_task(self._poke_new_owners(callee, hint))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _poke_new_owners(self, failed: Callee, hint: Hint) -> None:
        await self._catalog.refresh()
        self._poke(hint, but_not=failed)

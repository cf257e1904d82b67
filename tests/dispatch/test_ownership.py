"""Ownership's loop over a stub of the store: what is lost is lost once."""

import uuid

from argosy.clock import SystemClock
from argosy.log import Identity
from argosy.store.partition import Claimed
from workers.dispatch.ownership.ownership import Ownership
from workers.dispatch.turn import Owned


class StoreStub:
    async def claim(self, partitions: list[int]) -> dict[int, Claimed]:
        return {partition: Claimed(1, None, None) for partition in partitions}


class ReadingStub:
    def begin(self, identity: Identity) -> None:
        pass

    def stop(self, owned: Owned) -> None:
        pass

    async def look(self, eligible: list[Owned]) -> None:
        pass


async def test_a_partition_that_two_find_out_to_be_lost_is_given_up_once() -> None:
    """An accept and a flush may both be refused. The second note would say that nothing runs here."""
    owned: dict[int, Owned] = {}
    given_up: list[list[int]] = []
    ownership = Ownership(
        StoreStub(),  # type: ignore[arg-type]
        ReadingStub(),  # type: ignore[arg-type]
        SystemClock(),
        worker_id=uuid.uuid4(),
        lane="default",
        owned=owned,
        interval_s=1.0,
        on_claimed=lambda claimed: None,
        on_void=lambda gone: given_up.append([each.partition for each in gone]),
    )
    ownership.begin(Identity("c", "t", 8))
    ownership.eligible(frozenset({0, 1}))
    await ownership._reconcile()
    lost = list(owned.values())
    for each in lost:
        each.is_void = True  # as whoever was refused does at once

    ownership.lost(lost)
    ownership.lost(lost)

    assert given_up == [[0, 1]]
    assert owned == {}

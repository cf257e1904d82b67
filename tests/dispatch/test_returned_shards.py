"""Which turns go on when a shard is back, and how many at once."""

import uuid
from collections.abc import Sequence

from argosy import config
from argosy.workers.dispatch.inbox.returned_shards import ReturnedShards
from argosy.workers.dispatch.owned import Owned
from tests.dispatch.claims import claims_of
from tests.harness.hand_clock import HandClock

SHARD, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


class World:
    """A worker that owns every partition. waiting: how many turns wait for each shard; woken: (second, how many)."""

    def __init__(self, is_served: bool = True) -> None:
        self.waiting: dict[uuid.UUID, int] = {}
        self.woken: list[tuple[float, int]] = []
        self.asked = self.told = 0
        self.clock = HandClock(0.0)
        owned = Owned(0, 1, (0, 1023))
        owned.is_open = is_served
        settings = config.load({"GRAPH_WAKES_MAX": "500"})
        self.returned = ReturnedShards(self, claims_of(owned), self.clock, settings, self)  # type: ignore[arg-type]

    async def hasten_retries(
        self, ranges: Sequence[tuple[int, int]], shard: uuid.UUID, within_s: float, rows_max: int
    ) -> int:
        assert (ranges, within_s) == ([(0, 1023)], 60.0)
        self.asked += 1
        count = min(self.waiting.get(shard, 0), rows_max)
        if count:
            self.waiting[shard] -= count
            self.woken.append((self.clock.now_s, count))
        return count

    def after_hastening(self) -> None:
        self.told += 1

    async def pass_to(self, at_s: float) -> None:
        while self.clock.now_s < at_s:
            await self.returned.look()
            self.clock.now_s += 0.5


async def test_those_that_wait_for_the_shard_go_on_at_once_and_no_others() -> None:
    world = World()
    world.waiting = {SHARD: 3, OTHER: 3}

    world.returned.returned(SHARD)
    await world.pass_to(60.0)

    assert world.woken == [(0.0, 3)]
    assert world.told == 1
    assert world.waiting[OTHER] == 3


async def test_ten_thousand_go_on_by_and_by() -> None:
    world = World()
    world.waiting[SHARD] = 10_000

    world.returned.returned(SHARD)
    await world.pass_to(60.0)

    assert world.woken == [(float(second), 500) for second in range(20)]


async def test_a_turn_that_begins_to_wait_as_the_shard_returns_is_not_missed() -> None:
    world = World()

    world.returned.returned(SHARD)
    await world.pass_to(0.5)
    world.waiting[SHARD] = 1
    await world.pass_to(5.0)

    assert world.woken == [(1.0, 1)]


async def test_a_shard_that_is_back_again_and_again_lets_nobody_go_on_any_more() -> None:
    """Each try of a turn leaves events; its timer is what it goes on by then."""
    world = World()

    for second in range(200):
        world.waiting[SHARD] = 1
        world.returned.returned(SHARD)
        await world.pass_to(second + 1.0)
    early = len(world.woken)
    world.returned.returned(SHARD)
    world.clock.now_s = 400.0
    world.waiting[SHARD] = 1
    world.returned.returned(SHARD)
    await world.pass_to(401.0)

    assert early <= 8
    assert world.woken[-1] == (400.0, 1)


async def test_nothing_is_asked_for_partitions_that_are_not_served() -> None:
    world = World(is_served=False)
    world.waiting[SHARD] = 1

    world.returned.returned(SHARD)
    await world.pass_to(20.0)

    assert world.asked == 0

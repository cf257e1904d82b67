"""A turn that kills its worker before anything of that is recorded is found, whoever has its partition meanwhile."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from argosy import ids
from argosy.clock import SystemClock
from argosy.store.head import Heads
from argosy.store.numbered_stream import NumberedStream
from argosy.store.partition import Partitions
from argosy.store.pool import Pool
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.changes import NewClaim
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.turn import Stop
from tests.dispatch.joined_parts import PartsOver, catalog
from tests.dispatch.known_workers_stub import KnownWorkersStub
from tests.dispatch.said import Said, settings_of
from tests.store.hand import LANE, PARTITION_COUNT, Hand, New

DEATHS_MAX = 6  # the first cannot be counted; five can
PARTITION = 0


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 4, 30.0)
    yield pool
    await pool.close()


async def _accepted(hand: Hand, pool: Pool) -> New:
    """A turn of the partition, whose owner has let it go."""
    names = (f"s{number}" for number in range(100))
    turn = next(each for each in (New(name, input=b"null") for name in names) if each.partition == PARTITION)
    await hand.accept(turn)
    await Partitions(pool, hand.worker_id, "", LANE).give([PARTITION], [hand.epochs[PARTITION]], [True])
    return turn


class Fleet:
    """Workers that have the partition one after the other, and die of the turn in it: its code calls `kills`."""

    def __init__(self, dsn: str, pool: Pool, function: Callable[..., Awaitable[Any]]) -> None:
        self.dsn, self.pool, self.function = dsn, pool, function
        self.living: set[uuid.UUID] = set()
        self.deaths = 0
        self.died = asyncio.Event()
        self.parts: PartsOver | None = None

    def kills(self) -> None:
        """From here on nothing of the worker is written."""
        assert self.parts is not None
        self.deaths += 1
        self.died.set()
        for task in self.parts.tasks:
            task.cancel()

    async def claim(self, worker_id: uuid.UUID, *, opens: bool = True) -> tuple[Owned, Partitions, Takeover]:
        partitions = Partitions(self.pool, worker_id, "127.0.0.1:1", LANE)
        settings = settings_of(handover_note_s=60.0, handover_s=60.0, cancel_cleanup_s=60.0)
        takeover = Takeover(
            partitions, KnownWorkersStub(self.living.__contains__), Elsewhere(), SystemClock(), settings, Said()
        )
        self.living.add(worker_id)
        claim = (await partitions.claim([PARTITION]))[PARTITION]
        owned = Owned(PARTITION, claim.epoch, ids.buckets_of(PARTITION, PARTITION_COUNT))
        owned.held_at_s = float("inf")
        takeover.begin([NewClaim(owned, claim)])
        owned.is_void = not opens
        await takeover.look_for_notes()
        return owned, partitions, takeover

    async def passes_on(self, *, is_lost_unopened: bool, is_settled: bool) -> None:
        """A worker takes the partition over, and hands it on without having begun anything of it."""
        owned, partitions, _ = await self.claim(uuid.uuid4(), opens=not is_lost_unopened)
        await partitions.give([PARTITION], [owned.epoch], [is_settled])

    async def run_until_it_dies(self, is_over: Callable[[], Awaitable[bool]]) -> None:
        worker_id = uuid.uuid4()
        owned, _, _ = await self.claim(worker_id)
        stream = NumberedStream(self.dsn, worker_id, 2, timeout_s=5)
        await stream.open()
        heads = Heads(self.pool, LANE, input_size_bytes_max=1_000)
        self.died.clear()
        async with PartsOver(catalog(self.function, "echo"), heads, stream) as self.parts:
            parts = self.parts
            parts.owned[PARTITION] = owned
            parts.pager.claimed([owned])
            async with asyncio.timeout(10):
                while not (self.died.is_set() or await is_over()):
                    await parts.inbox.look()
                    await asyncio.sleep(0.01)
        for turn in list(parts.scheduler.live.values()):
            parts.executor.stop(turn, Stop.DROP)
        self.living.discard(worker_id)
        await stream.close()


@pytest.mark.parametrize("is_lost_unopened", [False, True], ids=["opened", "lost before it was opened"])
@pytest.mark.parametrize("when", ["as it begins", "as it wakes up"])
async def test_one_that_kills_each_second_owner_is_parked_though_those_between_hand_it_on_in_order(
    store_dsn: str, hand: Hand, pool: Pool, when: str, is_lost_unopened: bool
) -> None:
    turn = await _accepted(hand, pool)

    async def kills(ctx: Any) -> None:
        if when == "as it wakes up":
            await ctx.sleep(0.01)
        fleet.kills()
        await ctx.wait_signal("never")

    async def is_parked() -> bool:
        return await hand.status(turn) == "parked"

    fleet = Fleet(store_dsn, pool, kills)
    while not await is_parked() and fleet.deaths <= DEATHS_MAX:
        await fleet.run_until_it_dies(is_parked)
        is_running = await hand.status(turn) == "running"
        await fleet.passes_on(is_lost_unopened=is_lost_unopened, is_settled=not (is_running or is_lost_unopened))

    assert await is_parked()
    assert (await hand.turn(turn))["reason"] == "crashes_its_worker"
    assert fleet.deaths <= DEATHS_MAX


async def test_what_was_asleep_when_an_owner_died_is_watched_as_it_wakes_up_once_and_not_again(
    store_dsn: str, hand: Hand, pool: Pool
) -> None:
    turn = await _accepted(hand, pool)
    awaits: list[bool] = []

    async def naps(ctx: Any) -> None:
        assert fleet.parts is not None
        awaits.append(fleet.parts.scheduler.live[turn.turn_id].awaits_start)
        await ctx.sleep(0.01)
        if not fleet.deaths:
            fleet.kills()
            await ctx.wait_signal("never")
        await ctx.sleep(0.01)

    async def has_ended() -> bool:
        return await hand.status(turn) == "completed"

    fleet = Fleet(store_dsn, pool, naps)
    await fleet.run_until_it_dies(has_ended)
    await fleet.passes_on(is_lost_unopened=False, is_settled=True)
    await fleet.run_until_it_dies(has_ended)

    assert fleet.deaths == 1
    assert awaits == [False, False, True, False]

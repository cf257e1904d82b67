"""Ownership's loops over stubs of the store and of the log: nobody waits for what he does not need."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Identity
from argosy.store.partition import Claimed, Orphan
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.known_workers import NEW_S, KnownWorkers
from argosy.workers.dispatch.ownership.ownership import Ownership
from argosy.workers.dispatch.ring import RingWorker
from tests.dispatch.claims import claims_of
from tests.dispatch.said import Said, settings_of
from tests.harness.hand_clock import AheadClock

ME, DEAD, NEW = (uuid.UUID(int=number) for number in (1, 2, 3))
LIVES = RingWorker(ME, 1, "default", "127.0.0.1:1", False, True)


class StoreStub:
    """claims: what was claimed or adopted, in order; is_free: cleared, claims wait; under_way: of which partitions."""

    def __init__(self) -> None:
        self.claims: list[list[int]] = []
        self.orphaned: list[Orphan] = []
        self.orphan_looks = 0
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.under_way: list[int] = []
        self.ever_overlapped = False

    async def claim(self, partitions: Sequence[int]) -> dict[int, Claimed]:
        self.ever_overlapped |= not set(self.under_way).isdisjoint(partitions)
        self.under_way += partitions
        await self.is_free.wait()
        self.under_way = [each for each in self.under_way if each not in partitions]
        self.claims.append(list(partitions))
        return {partition: Claimed(len(self.claims), None, None) for partition in partitions}

    async def adopt(self, orphans: Sequence[Orphan]) -> dict[int, Claimed]:
        self.orphaned = [each for each in self.orphaned if each not in orphans]
        return await self.claim([each.partition for each in orphans])

    async def orphans(self, living: Sequence[uuid.UUID]) -> list[Orphan]:
        self.orphan_looks += 1
        return [each for each in self.orphaned if each.owner not in living]

    async def owned(self) -> dict[int, int]:
        return {}


class ReadingStub:
    """looks: of which partitions; answer: what a look does; words: how often it was asked whether the log's is old."""

    def __init__(self) -> None:
        self.is_old, self.words = False, 0
        self.looks: list[list[int]] = []
        self.answer: Callable[[], object] = lambda: None
        self.joined: Callable[[], bool] = lambda: True

    def begin(self, identity: Identity) -> None:
        pass

    def stop(self, owned: Owned) -> None:
        owned.is_reading = False

    async def has_joined(self) -> bool:
        return self.joined()

    def is_word_old(self) -> bool:
        self.words += 1
        return self.is_old

    async def look(self, eligible: list[Owned], is_wanted: Callable[[Owned], bool]) -> None:
        if not eligible:
            return
        self.looks.append([each.partition for each in eligible])
        if isinstance(answer := self.answer(), asyncio.Event):
            await answer.wait()
        for each in eligible:
            each.is_reading = True


class Worker:
    """Ownership alone."""

    def __init__(self, interval_s: float = 0.05, clock: AheadClock | None = None) -> None:
        self.store, self.reading, self.clock = StoreStub(), ReadingStub(), clock or AheadClock()
        claims = claims_of(partition_count=8)
        self.owned = claims.owned
        self.said = Said()
        self.ownership = Ownership(
            self.store,  # type: ignore[arg-type]
            self.reading,  # type: ignore[arg-type]
            claims,
            KnownWorkers(self.clock, ME, "default"),
            self.clock,
            settings_of(reconcile_interval_s=interval_s),
            self.said,
        )
        self.ownership.workers([LIVES])

    @property
    def given_up(self) -> list[list[int]]:
        """The partitions of each loss that was told."""
        return [[each.partition for each in gone] for gone in self.said.of("after_loss")]

    def hear_of_a_death(self, *partitions: int) -> None:
        """Another worker died, and these partitions were its own."""
        self.store.orphaned = [Orphan(partition, 1, DEAD) for partition in partitions]
        self.ownership.workers([LIVES, RingWorker(DEAD, 2, "default", "127.0.0.1:2", False, False)])


@contextlib.asynccontextmanager
async def running(joined: Callable[[], bool] = lambda: True, interval_s: float = 0.05) -> AsyncIterator[Worker]:
    worker = Worker(interval_s)
    worker.reading.joined = joined
    task = asyncio.create_task(worker.ownership.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], within_s: float = 3.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def away() -> bool:
    raise LogUnavailableError("nobody answers")


async def test_a_partition_that_two_find_out_to_be_lost_is_given_up_once() -> None:
    """An accept and a flush may both be refused. The second note would say that nothing runs here."""
    async with running() as worker:
        worker.ownership.eligible(frozenset({0, 1}))
        await until(lambda: len(worker.owned) == 2)
        lost = list(worker.owned.values())
        for each in lost:
            each.is_void = True  # as whoever was refused does at once

        worker.ownership.lost(lost)
        worker.ownership.lost(lost)

        assert worker.given_up == [[0, 1]]
        assert worker.owned == {}


async def test_what_a_dead_worker_owned_is_adopted_while_the_log_does_not_answer() -> None:
    async with running() as worker:
        never = asyncio.Event()
        worker.reading.answer = lambda: never
        worker.ownership.eligible(frozenset({0, 1}))
        await until(lambda: worker.reading.looks == [[0, 1]])

        worker.hear_of_a_death(6, 7)

        await until(lambda: worker.owned.keys() == {0, 1, 6, 7}, within_s=0.5)
        assert worker.reading.looks == [[0, 1]], "the look is still under way"


async def test_two_claims_of_one_partition_never_overlap() -> None:
    """The log makes us eligible for what we are adopting: the second claim would void the first one's turns."""
    async with running() as worker:
        worker.store.is_free.clear()
        worker.hear_of_a_death(3)
        await until(lambda: worker.store.under_way == [3])
        worker.ownership.eligible(frozenset({3}))
        await asyncio.sleep(0)

        worker.store.is_free.set()

        await until(lambda: worker.reading.looks == [[3]])
        assert worker.store.claims == [[3]]
        assert not worker.store.ever_overlapped
        assert worker.given_up == []


async def test_nothing_is_claimed_by_a_word_of_before_a_stop() -> None:
    """Others own it by right: their steps would run again here, and once more there."""
    async with running() as worker:
        worker.ownership.eligible(frozenset({0, 1}))
        await until(lambda: worker.reading.looks == [[0, 1]])
        worker.reading.is_old = True

        worker.ownership.lost(list(worker.owned.values()))
        asked = worker.reading.words
        await until(lambda: worker.reading.words >= asked + 3)
        assert worker.store.claims == [[0, 1]]

        worker.reading.is_old = False
        worker.ownership.eligible(frozenset({1}))  # the log has given the other to somebody else

        await until(lambda: worker.owned.keys() == {1})
        assert worker.store.claims == [[0, 1], [1]]


async def test_what_a_dead_worker_owned_is_adopted_by_an_old_word_of_the_log_too() -> None:
    async with running() as worker:
        worker.reading.is_old = True

        worker.hear_of_a_death(3)

        await until(lambda: worker.owned.keys() == {3})


async def test_what_belongs_to_who_came_while_we_were_stopped_is_not_adopted() -> None:
    """Whom this worker has not been told of it does not take for dead at once."""
    async with running() as worker:
        await until(lambda: worker.store.orphan_looks == 1)
        worker.store.orphaned = [Orphan(3, 1, NEW)]

        worker.clock.ahead_s = 60.0  # a look for orphans is due, by the list of before the stop
        await until(lambda: worker.store.orphan_looks >= 3)
        looks = worker.store.orphan_looks
        worker.ownership.workers([LIVES, RingWorker(NEW, 3, "default", "127.0.0.1:3", False, True)])
        worker.clock.ahead_s += NEW_S
        await until(lambda: worker.store.orphan_looks > looks)

        assert worker.owned == {}


async def test_what_belongs_to_somebody_whom_nobody_knows_any_more_is_adopted_a_moment_later() -> None:
    async with running() as worker:
        await until(lambda: worker.store.orphan_looks == 1)
        worker.store.orphaned = [Orphan(3, 1, NEW)]
        worker.clock.ahead_s = 60.0
        await until(lambda: worker.store.orphan_looks >= 3)

        worker.clock.ahead_s += NEW_S

        await until(lambda: worker.owned.keys() == {3})


async def test_what_belongs_to_nobody_who_is_known_is_looked_at_again_however_rarely_ownership_is_compared() -> None:
    async with running(interval_s=60.0) as worker:
        await until(lambda: worker.store.orphan_looks == 1)
        worker.store.orphaned = [Orphan(3, 1, NEW)]
        worker.ownership.workers([LIVES])

        await until(lambda: worker.owned.keys() == {3}, within_s=3 * NEW_S)


async def test_what_was_claimed_is_read_at_once() -> None:
    async with running() as worker:
        worker.ownership.eligible(frozenset({0}))
        await until(lambda: worker.reading.looks == [[0]])

        worker.ownership.eligible(frozenset({0, 5}))

        await until(lambda: worker.reading.looks[-1] == [0, 5])


async def test_a_log_that_must_not_be_used_ends_the_loop() -> None:
    def refuse() -> None:
        raise SettingError("two fleets")

    worker = Worker()
    worker.reading.answer = refuse
    worker.ownership.eligible(frozenset({0}))

    with pytest.raises(SettingError, match="two fleets"):
        await asyncio.wait_for(worker.ownership.run(), 3)


async def test_a_worker_is_ready_when_it_has_joined_and_has_claimed_and_looked_at_the_log() -> None:
    """What it lacks is said in words."""
    async with running(joined=lambda: False) as worker:
        worker.store.is_free.clear()
        worker.reading.answer = away
        await asyncio.sleep(0.1)
        assert worker.ownership.lacks() == "a place in the log's group"

        worker.ownership.eligible(frozenset({0, 1, 5}))
        assert worker.ownership.lacks() == "its partitions 0-1, 5: they are not claimed yet"

        worker.store.is_free.set()
        await until(lambda: worker.ownership.lacks() == "a first look at the log: nobody answers")

        worker.reading.answer = lambda: None
        await until(lambda: worker.ownership.lacks() == "")

        worker.reading.answer = away
        await asyncio.sleep(0.2)
        assert worker.ownership.lacks() == "", "what it owns and does not read yet is served"


async def test_a_worker_that_the_log_has_nothing_for_is_ready() -> None:
    async with running() as worker:
        await until(lambda: worker.ownership.lacks() == "")


async def test_why_a_worker_has_no_place_is_said_while_the_log_is_away() -> None:
    async with running(joined=away) as worker:
        await until(lambda: worker.ownership.lacks() == "a place in the log's group: nobody answers")

"""What is left of tenants' limits, told by many gateways at once."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from argosy.gateway.tenant_limits.account import Rate, Report
from argosy.store.limits import Limits, Open, Used
from argosy.store.pool import Pool
from tests.gateway.tenant_limits.fleet import OWED_MAX, Level
from tests.store.conftest import BOTH_IN_FAULTS

# Nothing fills, and nothing fades, while a test runs.
SLOW: Final = Rate(1e-6, 100.0)
FADE_S: Final = 1e9


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 16, 30.0)
    yield pool
    await pool.close()


def limits(pool: Pool, number: int = 0, *, seen_s: float = 60.0, fade_s: float = FADE_S) -> Limits:
    return Limits(pool, uuid.UUID(int=number), seen_s=seen_s, fade_s=fade_s)


def told(tenant: str, used: int, asked: int = 0, fresh: float = 0.0, *, rate: Rate = SLOW) -> Used:
    return Used(tenant, "turns", rate.per_s, rate.room, used, asked or used, fresh)


async def test_levels_and_shares_are_those_of_the_rules(pool: Pool) -> None:
    rng = random.Random(7)
    by_hand = {tenant: Level() for tenant in ("a", "b")}
    fresh = {(number, tenant): 0.0 for number in range(3) for tenant in by_hand}
    gateways = [limits(pool, number) for number in range(3)]

    for _ in range(60):
        number = rng.randrange(3)
        reports = {}
        for tenant in by_hand:
            asked = rng.randrange(40)
            fresh[number, tenant] += asked
            reports[tenant] = Report(rng.randrange(asked + 1), asked, fresh[number, tenant])
        settled = await gateways[number].settle([told(each, *report) for each, report in reports.items()], [])
        for tenant, left in zip(reports, settled.left, strict=True):
            expected = by_hand[tenant].settle(SLOW, reports[tenant], 0.0)
            assert left == pytest.approx(expected, abs=1e-3)

    assert min(each.level for each in by_hand.values()) == -OWED_MAX * SLOW.room


async def test_a_level_fills_by_the_clock_of_postgres_up_to_its_room(pool: Pool) -> None:
    gateway, rate = limits(pool, fade_s=1.0), Rate(10, 100)
    (first,) = (await gateway.settle([told("t", 150, fresh=150, rate=rate)], [])).left
    await pool.execute("UPDATE limit_levels SET at = at - interval '3 seconds'")
    (later,) = (await gateway.settle([told("t", 0, 10, 10, rate=rate)], [])).left
    await pool.execute("UPDATE limit_levels SET at = at - interval '2 days'")
    (full,) = (await gateway.settle([told("t", 0, rate=rate)], [])).left

    assert first == (-50, 1)
    assert later.level == pytest.approx(-20, abs=5)
    assert later.share == pytest.approx(10 / (10 + 150 / 2.718**3), abs=0.1)
    assert full.level == 100


@BOTH_IN_FAULTS
async def test_what_gateways_tell_at_the_same_time_is_all_subtracted(pool: Pool) -> None:
    tenants = [f"t{number}" for number in range(6)]
    rate = Rate(1e-6, 10_000.0)

    async def tell(number: int) -> int:
        rng, gateway, used = random.Random(number), limits(pool, number), 0
        for _ in range(15):
            some = sorted(rng.sample(tenants, 4))
            numbers = [rng.randrange(9) for _ in some]
            told_of = [told(each, count, rate=rate) for each, count in zip(some, numbers, strict=True)]
            await gateway.settle(told_of, [Open(each, number, 100) for each in some])
            used += sum(numbers)
        return used

    used = sum(await asyncio.gather(*(tell(number) for number in range(12))))

    left = await pool.fetchval("SELECT sum(level) FROM limit_levels")
    assert left == pytest.approx(len(tenants) * rate.room - used, abs=0.1)


async def test_gateways_count_for_as_long_as_they_are_heard_of(pool: Pool) -> None:
    gateways = [limits(pool, number) for number in range(3)]
    counts = [(await each.settle([], [])).gateways for each in gateways]
    places = [(await each.settle([], [])).place for each in gateways]

    await gateways[0].leave()
    after_one_left = (await gateways[1].settle([], [])).gateways
    await pool.execute("UPDATE limit_gateways SET seen_at = seen_at - interval '61 seconds'")
    alone = (await gateways[1].settle([], [])).gateways

    assert counts == [1, 2, 3]
    assert all(0 <= place < 3 for place in places)
    assert (after_one_left, alone) == (2, 1)


async def test_streams_of_others_count_until_their_gateway_is_not_heard_of(pool: Pool) -> None:
    one, other = limits(pool, 1), limits(pool, 2)
    first = (await one.settle([], [Open("a", 3, 10), Open("b", 1, 1)])).streams
    heard = (await other.settle([], [Open("a", 3, 10), Open("b", 0, 1), Open("c", 2, 3)])).streams
    fewer = (await one.settle([], [Open("a", 1, 10)])).streams
    moved = (await other.settle([], [Open("a", 3, 10), Open("b", 1, 2)])).streams

    await pool.execute(
        "UPDATE limit_gateways SET seen_at = seen_at - interval '61 seconds' WHERE gateway_id = $1", uuid.UUID(int=1)
    )
    unheard = (await other.settle([], [Open("a", 3, 10)])).streams
    await pool.execute(
        "UPDATE limit_gateways SET seen_at = seen_at - interval '1 hour' WHERE gateway_id = $1", uuid.UUID(int=1)
    )
    await other.settle([], [Open("a", 9, 10)])

    assert first == {"a": 10, "b": 1}  # nobody else was there
    assert (heard["a"], heard["b"]) == (3, 0)
    assert heard["c"] in (2, 3)  # the odd one is theirs whose turn it is
    assert fewer["a"] in (4, 5)  # half of what is free
    assert 3 <= moved["a"] <= 10 - fewer["a"]
    assert moved["b"] in (1, 2)
    assert unheard == {"a": 10}
    assert await pool.fetchval("SELECT array_agg(tenant || allowed) FROM limit_streams") == ["a10"]


async def test_levels_that_nobody_needs_are_forgotten(pool: Pool) -> None:
    gateway = limits(pool)
    await gateway.settle([told("a", 1), told("b", 1)], [])
    await pool.execute("UPDATE limit_levels SET at = at - interval '1 day' WHERE tenant = 'a'")

    assert (await gateway.forget(3_600, 10), await gateway.forget(3_600, 10)) == (1, 0)
    assert await pool.fetchval("SELECT array_agg(tenant) FROM limit_levels") == ["b"]


async def test_a_level_that_somebody_holds_is_waited_for_and_not_for_ever(pool: Pool, store_dsn: str) -> None:
    gateway = limits(pool)
    await gateway.settle([told("a", 10)], [])
    holder = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy"})
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("UPDATE limit_levels SET level = 7")

    waiting = asyncio.create_task(gateway.settle([told("a", 3)], []))
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(5):
        while not await holder.fetchval(blocked):  # noqa: ASYNC110  # Postgres has no event for it
            await asyncio.sleep(0.005)
    await transaction.commit()
    await holder.close()

    assert (await waiting).left[0].level == pytest.approx(4, abs=0.01)

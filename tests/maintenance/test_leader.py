"""One leader per role, whoever dies, stops or is cut off; and what a deposed one writes changes nothing (F22-24)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from argosy.clock import SystemClock
from argosy.errors import OwnershipLostError
from argosy.store.leader import LeaderSession, list_leaders
from argosy.store.maintenance import Maintenance
from argosy.store.pool import Pool
from tests.store.hand import Hand
from workers.maintenance.leader import Leader

ROLE = "counting"


class Counting:
    """A role that writes down under which terms it ticked."""

    name = ROLE

    def __init__(self, work: Callable[[], Awaitable[None]] | None = None) -> None:
        self.terms: list[int] = []
        self._work = work

    async def tick(self, term: int) -> str:
        self.terms.append(term)
        if self._work is not None:
            await self._work()
        return "counted"


@asynccontextmanager
async def candidate(
    dsn: str, role: Counting, *, timeout_s: float = 5.0, silent_s: float = 60.0, wait_s: float = 0.2
) -> AsyncIterator[None]:
    leader = Leader(dsn, role, SystemClock(), tick_s=0.05, timeout_s=timeout_s, silent_s=silent_s, wait_s=wait_s)
    task = asyncio.create_task(leader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
async def _nobody_leads(hand: Hand) -> None:
    await hand.rows("DELETE FROM leaders RETURNING 1")


async def cut_holder(hand: Hand) -> None:
    await hand.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND (classid::bigint << 32 | objid::bigint) = role_lock($1)",
        ROLE,
    )


async def test_of_two_candidates_one_leads(store_dsn: str, hand: Hand) -> None:
    first, second = Counting(), Counting()
    async with candidate(store_dsn, first), candidate(store_dsn, second):
        await until(lambda: len(first.terms) + len(second.terms) >= 5)

    assert sorted(map(bool, (first.terms, second.terms))) == [False, True]
    assert set(first.terms + second.terms) == {1}


async def test_a_leader_whose_session_is_cut_resigns_and_another_leads_with_a_later_term(
    store_dsn: str, hand: Hand
) -> None:
    first, second = Counting(), Counting()
    async with candidate(store_dsn, first):
        await until(lambda: bool(first.terms))
        async with candidate(store_dsn, second):
            await cut_holder(hand)
            await until(lambda: bool(second.terms))
            ticks = len(first.terms)
            await until(lambda: len(second.terms) >= 5)

    assert second.terms[0] == 2
    assert len(first.terms) == ticks


async def test_a_tick_that_hangs_ends_the_leadership(store_dsn: str, hand: Hand) -> None:
    hanging, other = Counting(asyncio.Event().wait), Counting()
    async with candidate(store_dsn, hanging, timeout_s=0.2):
        await until(lambda: bool(hanging.terms))
        async with candidate(store_dsn, other):
            await until(lambda: bool(other.terms))

    assert other.terms[0] > hanging.terms[0]


async def test_a_leader_that_stopped_and_keeps_its_lock_is_ended(store_dsn: str, hand: Hand) -> None:
    stopped = await LeaderSession.open(store_dsn, ROLE, 1.0)
    assert await stopped.wait()
    await stopped.take_term(uuid.uuid4(), "host", 1)
    await hand.rows("UPDATE leaders SET ticked_at = now() - interval '1 minute' RETURNING 1")

    other = Counting()
    async with candidate(store_dsn, other, silent_s=30.0):
        await until(lambda: bool(other.terms))

    assert other.terms[0] == 2
    stopped.close()


async def test_a_leader_that_ticks_is_not_taken_for_a_silent_one(store_dsn: str, hand: Hand) -> None:
    first, second = Counting(), Counting()
    async with candidate(store_dsn, first, silent_s=0.5):
        await until(lambda: bool(first.terms))
        async with candidate(store_dsn, second, silent_s=0.5, wait_s=0.1):
            await until(lambda: len(first.terms) >= 30)

    assert second.terms == []


async def test_a_write_under_a_term_that_is_over_changes_nothing(store_dsn: str, hand: Hand) -> None:
    pool = Pool(store_dsn, 2, 10.0)
    session = await LeaderSession.open(store_dsn, ROLE, 1.0)
    await session.wait()
    old = await session.take_term(uuid.uuid4(), "host", 1)
    new = await session.take_term(uuid.uuid4(), "host", 2)

    with pytest.raises(OwnershipLostError, match="is over"):
        await Maintenance(pool, ROLE, old).mark_positions(0.0)
    marked = await hand.rows("SELECT count(*) FROM position_marks")
    await Maintenance(pool, ROLE, new).mark_positions(0.0)

    assert marked == [(0,)]
    assert not await session.note_tick(old, "done")
    assert [(each.term, each.pid, each.is_held) for each in await list_leaders(pool)] == [(new, 2, True)]
    session.close()
    await pool.close()


async def test_a_new_term_waits_for_the_write_of_the_old_one(store_dsn: str, hand: Hand) -> None:
    session = await LeaderSession.open(store_dsn, ROLE, 5.0)
    term = await session.take_term(uuid.uuid4(), "host", 1)
    transaction = hand.connections[1].transaction()
    await transaction.start()
    await hand.connections[1].execute("SELECT hold_term($1, $2)", ROLE, term)

    taking = asyncio.create_task(session.take_term(uuid.uuid4(), "host", 2))
    done, _ = await asyncio.wait({taking}, timeout=0.2)
    await transaction.commit()

    assert not done
    assert await taking == term + 1
    session.close()

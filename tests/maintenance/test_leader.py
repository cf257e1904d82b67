"""One leader per role, whoever dies, stops or is cut off; what a deposed one writes changes nothing (F22, F23, F24)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from argosy.clock import SystemClock
from argosy.errors import OwnershipLostError
from argosy.store.leader import LeaderSession, list_leaders
from argosy.store.maintenance import Maintenance
from argosy.store.pool import Pool
from argosy.workers.maintenance.leader import Leader, look_after_s
from argosy.workers.maintenance.role import Ticked
from tests.store.hand import Hand

ROLE = "counting"


class Counting:
    """A role that writes down under which terms it ticked."""

    name = ROLE

    def __init__(self, work: Callable[[int], Awaitable[object]] | None = None) -> None:
        self.terms: list[int] = []
        self._work = work

    async def tick(self, term: int) -> Ticked:
        self.terms.append(term)
        if self._work is not None:
            await self._work(term)
        return Ticked("counted")


@asynccontextmanager
async def candidate(
    dsn: str, role: Counting, *, timeout_s: float = 5.0, silent_s: float = 60.0
) -> AsyncIterator[Leader]:
    leader = Leader(
        dsn, role, SystemClock(), worker_id=uuid.uuid4(), tick_s=0.05, timeout_s=timeout_s, silent_s=silent_s
    )
    task = asyncio.create_task(leader.run())
    try:
        yield leader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def hang(_term: int) -> None:
    await asyncio.Event().wait()


async def hang_whatever_is_said(_term: int) -> None:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 3
    while loop.time() < until_s:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(until_s - loop.time())


async def fail(_term: int) -> None:
    raise ValueError("no")


@pytest.fixture(autouse=True)
async def _nobody_leads(hand: Hand) -> None:
    await hand.rows("DELETE FROM leaders RETURNING 1")
    await hand.rows("DELETE FROM position_marks RETURNING 1")


async def cut_holder(hand: Hand) -> None:
    await hand.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND (classid::bigint << 32 | objid::bigint) = role_lock($1)",
        ROLE,
    )


async def term_of(dsn: str, pid: int = 1) -> int:
    session = await LeaderSession.open(dsn, ROLE)
    term = await session.take_term(uuid.uuid4(), "host", pid)
    session.close()
    return term


@pytest.mark.parametrize(
    ("others", "looks_after_s"), [(0, 10.0), (1, 20.0), (5, 60.0), (1_000, 60.0)], ids=lambda each: str(each)
)
def test_the_more_candidates_wait_the_less_often_each_looks(others: int, looks_after_s: float) -> None:
    assert look_after_s(30.0, others) == looks_after_s


async def test_of_three_candidates_one_leads(store_dsn: str, hand: Hand) -> None:
    roles = [Counting() for _ in range(3)]
    async with (
        candidate(store_dsn, roles[0]) as a,
        candidate(store_dsn, roles[1]) as b,
        candidate(store_dsn, roles[2]) as c,
    ):
        await until(lambda: sum(len(role.terms) for role in roles) >= 5)
        await until(lambda: sorted(each.state for each in (a, b, c)) == ["leads", "waits", "waits"])

    assert sorted(bool(role.terms) for role in roles) == [False, False, True]
    assert len({term for role in roles for term in role.terms}) == 1


async def test_a_leader_whose_session_is_cut_resigns_and_another_leads_with_a_later_term(
    store_dsn: str, hand: Hand
) -> None:
    first, second = Counting(), Counting()
    async with candidate(store_dsn, first):
        await until(lambda: bool(first.terms))
        async with candidate(store_dsn, second) as other:
            await until(lambda: other.state == "waits")
            await cut_holder(hand)
            await until(lambda: bool(second.terms))
            ticks = len(first.terms)
            await until(lambda: len(second.terms) >= 5)

    assert second.terms[0] == first.terms[0] + 1
    assert len(first.terms) == ticks


@pytest.mark.parametrize(
    "work", [hang, hang_whatever_is_said, fail], ids=["hangs", "does not let itself be cancelled", "fails"]
)
async def test_a_tick_that_does_not_come_to_an_end_ends_the_leadership_and_another_goes_on(
    store_dsn: str, hand: Hand, work: Callable[[int], Awaitable[None]]
) -> None:
    bad, other = Counting(work), Counting()
    async with candidate(store_dsn, bad, timeout_s=0.2):
        await until(lambda: bool(bad.terms))
        async with candidate(store_dsn, other):
            await until(lambda: len(other.terms) >= 3)

    assert other.terms[0] > bad.terms[0]


async def test_a_leader_that_stopped_and_keeps_its_lock_is_ended(store_dsn: str, hand: Hand) -> None:
    stopped = await LeaderSession.open(store_dsn, ROLE)
    assert await stopped.wait(1.0)
    term = await stopped.take_term(uuid.uuid4(), "host", 1)

    other = Counting()
    async with candidate(store_dsn, other, silent_s=0.6):
        await until(lambda: bool(other.terms))

    assert other.terms[0] == term + 1
    async with asyncio.timeout(5):
        await stopped.lost.wait()


async def test_a_leader_that_is_in_a_long_tick_is_not_taken_for_a_stopped_one(store_dsn: str, hand: Hand) -> None:
    async def work_long(_term: int) -> None:
        await asyncio.sleep(1.5)

    first, second = Counting(work_long), Counting()
    async with candidate(store_dsn, first, silent_s=0.5):
        await until(lambda: bool(first.terms))
        async with candidate(store_dsn, second, silent_s=0.5):
            await until(lambda: len(first.terms) >= 2)

    assert second.terms == []


async def test_a_write_under_a_term_that_is_over_changes_nothing(store_dsn: str, hand: Hand) -> None:
    pool = Pool(store_dsn, 2, 10.0)
    old = await term_of(store_dsn)
    session = await LeaderSession.open(store_dsn, ROLE)
    await session.wait(1.0)
    new = await session.take_term(uuid.uuid4(), "host", 2)

    late = Maintenance(pool, ROLE, old)
    for write in (
        late.mark_positions(0.0, 0.0),
        late.purge_turns("default", 0, [uuid.uuid4()], 0.0),
        late.purge_strays(0.0, 10),
    ):
        with pytest.raises(OwnershipLostError, match="is over"):
            await write

    assert not await session.note_tick(old, "done")
    assert not await session.has_term(old)
    assert await session.has_term(new)
    assert [(each.term, each.pid, each.is_held) for each in await list_leaders(pool)] == [(new, 2, True)]
    session.close()
    await pool.close()


async def test_a_new_term_waits_for_the_write_of_the_old_one(store_dsn: str, hand: Hand) -> None:
    session = await LeaderSession.open(store_dsn, ROLE)
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


async def test_terms_of_a_restored_database_are_later_than_those_of_the_lost_history(
    store_dsn: str, hand: Hand
) -> None:
    before = [await term_of(store_dsn) for _ in range(3)][-1]

    await hand.rows("UPDATE lineages SET restores = restores + 1 RETURNING 1")
    await hand.rows("UPDATE leaders SET term = term - 2 RETURNING 1")  # as it was in the backup
    after = await term_of(store_dsn)
    await hand.rows("UPDATE lineages SET restores = restores - 1 RETURNING 1")

    assert after > before + 1_000


async def test_nothing_is_done_twice_while_leaders_are_cut_off(store_dsn: str, hand: Hand) -> None:
    await hand.rows("SELECT count(*) FROM pg_tables")
    await hand.connections[2].execute("CREATE TABLE IF NOT EXISTS argosy.done (no serial PRIMARY KEY, term bigint)")
    await hand.connections[2].execute("TRUNCATE argosy.done")
    pool = Pool(store_dsn, 4, 10.0)

    async def work(term: int) -> None:
        await asyncio.sleep(0.02)  # long enough for the lock to be lost in between
        with suppress(Exception):
            await pool.execute(
                "INSERT INTO done (term) SELECT $2 FROM (SELECT hold_term($1, $2) OFFSET 0) AS held", ROLE, term
            )

    roles = [Counting(work) for _ in range(3)]

    def has_worked(times: int) -> Callable[[], bool]:
        return lambda: sum(len(role.terms) for role in roles) >= times

    async with candidate(store_dsn, roles[0]), candidate(store_dsn, roles[1]), candidate(store_dsn, roles[2]):
        for cut in range(4):
            await until(has_worked(4 * (cut + 1)))
            await cut_holder(hand)
        await until(lambda: len({term for role in roles for term in role.terms}) >= 4)
    terms = [row[0] for row in await hand.rows("SELECT term FROM done ORDER BY no")]

    assert terms == sorted(terms)
    await hand.connections[2].execute("DROP TABLE argosy.done")
    await pool.close()

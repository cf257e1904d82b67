"""A turn that is lent is written by its borrower alone, until it rests, ends or is taken back; and nobody waits."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.config import load
from argosy.store.build import Builds, Loan, Loans
from argosy.store.head import Heads
from argosy.store.pool import Pool, open_pool
from tests.store.conftest import OpenHand
from tests.store.hand import LANE, PARTITION_COUNT, TENANT, Change, Hand, New, flush_arguments
from tests.store.test_flush import QUEUED, RUNNING, STARTED, running

LENT = -1


@pytest.fixture
async def pool(hand: Hand) -> AsyncIterator[Pool]:
    async with open_pool(load({}), hand.dsn) as pool:
        yield pool


def _loan(hand: Hand, turn: New, *, taken_from: Hand | None = None, to: Hand | None = None, seq: int = 0) -> Loan:
    before, after = (None if each is None else each.worker_id for each in (taken_from, to))
    return Loan(turn.partition, hand.epochs[turn.partition], turn.turn_id, before, after, seq, "moved")


def _loans(pool: Pool, hand: Hand) -> Loans:
    return Loans(pool, hand.worker_id, LANE, input_size_bytes_max=100)


class Borrower:
    """Writes turns that are lent to a worker."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand

    async def flush(self, change: Change) -> bool:
        """Whether it was written."""
        arguments = list(flush_arguments(LANE, {change.turn.partition: 0}, [change], (), ()))
        arguments[1], arguments[2], arguments[3] = [], [], [LENT]
        answer = await self.hand.call(2, *arguments)
        return answer.applied is None


@pytest.fixture
async def borrower(open_hand: OpenHand) -> Hand:
    return await open_hand()


async def _lent_to(hand: Hand, turn: New) -> uuid.UUID | None:
    found: uuid.UUID | None = (await hand.turn(turn))["lent_to"]
    return found


async def test_a_borrower_writes_what_is_lent_to_it_and_nothing_else(hand: Hand, borrower: Hand, pool: Pool) -> None:
    lent, own = New("a"), New("b")
    await hand.accept(lent, own)

    done = await _loans(pool, hand).change([_loan(hand, lent, to=borrower)])

    assert done == {lent.turn_id}
    assert await Borrower(borrower).flush(Change(lent, QUEUED, "running", events=STARTED))
    assert not await Borrower(borrower).flush(Change(own, QUEUED, "running", events=STARTED))
    assert await _lent_to(hand, lent) == borrower.worker_id


@pytest.mark.parametrize("status", ["completed", "suspended", "parked"])
async def test_a_turn_that_rests_or_ends_is_its_owners_again(
    hand: Hand, borrower: Hand, pool: Pool, status: str
) -> None:
    turn = New("a")
    await hand.accept(turn)
    await _loans(pool, hand).change([_loan(hand, turn, to=borrower)])

    assert await Borrower(borrower).flush(Change(turn, QUEUED, status, events=STARTED))

    assert await _lent_to(hand, turn) is None
    assert not await Borrower(borrower).flush(Change(turn, (status, 1, 1), "running", events=[("turn.resumed", "")]))


async def test_what_a_borrower_says_after_its_loan_was_taken_back_is_refused(
    hand: Hand, borrower: Hand, pool: Pool
) -> None:
    turn = New("a")
    await running(hand, turn)
    loans = _loans(pool, hand)
    await loans.change([_loan(hand, turn, to=borrower, seq=1)])

    assert await loans.change([_loan(hand, turn, taken_from=borrower)]) == {turn.turn_id}

    assert not await Borrower(borrower).flush(Change(turn, RUNNING, "completed", events=[("turn.completed", "")]))


async def test_a_write_of_the_owner_takes_a_turn_back(hand: Hand, borrower: Hand, pool: Pool) -> None:
    turn = New("a")
    await running(hand, turn)
    await _loans(pool, hand).change([_loan(hand, turn, to=borrower, seq=1)])

    await hand.flush(Change(turn, RUNNING, "running", attempt=2, events=[("turn.reset", "")]))

    assert await _lent_to(hand, turn) is None
    assert not await Borrower(borrower).flush(Change(turn, RUNNING, "completed", events=[("turn.completed", "")]))


async def test_who_lost_the_partition_lends_nothing_of_it_and_takes_nothing_back(
    hand: Hand, borrower: Hand, open_hand: OpenHand, pool: Pool
) -> None:
    turn, other = New("a"), New("a2")
    await running(hand, turn, other)
    loans = _loans(pool, hand)
    await loans.change([_loan(hand, turn, to=borrower, seq=1)])
    successor = await open_hand()
    await successor.claim()

    refused = await loans.change([_loan(hand, other, to=borrower, seq=1), _loan(hand, turn, taken_from=borrower)])

    assert refused == set()
    assert await Borrower(borrower).flush(Change(turn, RUNNING, "completed", events=[("turn.completed", "")]))


async def test_a_turn_that_changed_meanwhile_is_not_lent(hand: Hand, borrower: Hand, pool: Pool) -> None:
    turn = New("a")
    await running(hand, turn)

    assert await _loans(pool, hand).change([_loan(hand, turn, to=borrower, seq=0)]) == set()


async def test_a_turn_lacks_its_build_from_when_somebody_was_last_heard_of_who_has_it(hand: Hand, pool: Pool) -> None:
    turn = New("a")
    await hand.accept(turn)
    connection, builds = hand.connections[1], Builds(pool)
    await connection.execute("UPDATE turns SET accepted_at = now() - interval '1 hour'")
    nobody = await builds.lacking([turn.turn_id], 60)
    await connection.execute(
        "INSERT INTO workers (worker_id, kind, lane, build, host, pid, address, metrics_port, slots, started_at)"
        " VALUES ($1, 'dispatch', $2, 'b', 'h', 1, 'a', 1, 1, now() - interval '30 seconds')", hand.worker_id, LANE,
    )  # fmt: skip
    await connection.execute("INSERT INTO abilities VALUES ($1, 'echo', '1', true)", hand.worker_id)

    assert nobody == {turn.turn_id}
    assert await builds.lacking([turn.turn_id], 60) == set()
    assert await builds.lacking([turn.turn_id], 20) == {turn.turn_id}


async def test_a_lent_turn_that_an_owner_of_a_version_before_loans_has_ended_is_not_borrowed(
    hand: Hand, borrower: Hand, pool: Pool
) -> None:
    ended, lent = New("a"), New("b")
    await running(hand, ended, lent)
    await _loans(pool, hand).change([_loan(hand, each, to=borrower, seq=1) for each in (ended, lent)])
    await hand.rows(
        "UPDATE turns SET status = 'completed', ended_at = now() WHERE turn_id = $1 RETURNING 1", ended.turn_id
    )

    found = await _loans(pool, borrower).borrowed([], 10)

    assert [each.head.turn_id for each in found] == [lent.turn_id]


async def test_a_borrowed_turn_comes_with_the_epoch_of_its_partition(hand: Hand, borrower: Hand, pool: Pool) -> None:
    turn = New("a")
    await hand.accept(turn)
    await hand.connections[1].execute(
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count) VALUES ($1, 'c', 'l', 't', $2)",
        LANE, PARTITION_COUNT,
    )  # fmt: skip
    await _loans(pool, hand).change([_loan(hand, turn, to=borrower)])

    (found,) = await _loans(pool, borrower).borrowed([], 10)

    assert found.epoch == hand.epochs[turn.partition]


async def test_every_read_of_a_turn_says_who_borrows_it(hand: Hand, borrower: Hand, pool: Pool) -> None:
    turn, heads = New("a"), Heads(pool, LANE, input_size_bytes_max=100)
    await hand.accept(turn)
    await _loans(pool, hand).change([_loan(hand, turn, to=borrower)])

    found = [
        *await heads.load_heads(0, uuid.UUID(int=0), 1023, 10),
        *await heads.load_sessions([(turn.bucket, turn.session_id)], 10),
        *await heads.load_turns([turn.turn_id]),
        await heads.load_head(turn.turn_id),
    ]

    assert [each and (each.turn_id, each.lent_to) for each in found] == [(turn.turn_id, borrower.worker_id)] * 4


@pytest.mark.parametrize(("rows_max", "size_bytes_max", "found"), [(10, 100, 5), (2, 100, 2), (10, 25, 3), (10, 1, 1)])
async def test_due_rows_of_borrowed_turns_are_read_within_bounds(
    hand: Hand, borrower: Hand, pool: Pool, rows_max: int, size_bytes_max: int, found: int
) -> None:
    turn = New("a")
    await hand.accept(turn)
    sent = [uuid.uuid4() for _ in range(5)]
    await hand.connections[2].executemany(
        "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, name, payload, due_at)"
        " VALUES ($1, $2, $3, $4, $5, 'signal', 'go', $6, now() - $7 * interval '1 second')",
        [(each, LANE, turn.bucket, TENANT, turn.turn_id, b"x" * 10, 10 - i) for i, each in enumerate(sent)],
    )

    due = await _loans(pool, borrower).due([turn.turn_id], [], rows_max, size_bytes_max)

    assert [each.inbox_id for each in due] == sent[:found]
    rest = await _loans(pool, borrower).due([turn.turn_id], sent[:found], 10, 100)
    assert [each.inbox_id for each in rest] == sent[found:]

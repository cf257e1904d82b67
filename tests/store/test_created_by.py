"""Who posted a turn is in its row, and a turn that it starts has the same, whatever anybody else says of it."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from argosy.store.build import Loan, Loans
from argosy.store.head import Heads
from argosy.store.parameters import ACCEPT, CALL, names_of
from argosy.store.pool import Pool
from argosy.store.start import StartRows
from tests.store.before import ACCEPT as ACCEPT_BEFORE
from tests.store.before import arguments_of_before
from tests.store.conftest import OpenHand
from tests.store.hand import LANE, TENANT, Hand, New, accept_arguments
from tests.store.test_accept import early
from tests.store.test_flush import running
from tests.store.test_starts import ALL_BUCKETS, BOUNDS, FUTURE, started

WHO = b'{"kind":"token","id":"somebody"}'
OTHER = b'{"kind":"token","id":"somebody else"}'


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 2, 30.0)
    yield pool
    await pool.close()


async def created_by(hand: Hand, turn: New) -> Any:
    return (await hand.turn(turn))["created_by"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "queued"),
        ({"not_before": FUTURE}, "queued"),
        ({"key": "k", "digest": b"d" * 16}, "duplicate"),
        ({"key": "k", "digest": b"e" * 16}, "rejected"),
        ({"on_busy": "reject"}, "rejected"),
    ],
)
async def test_it_is_stored_with_each_turn_whatever_becomes_of_it(
    hand: Hand, changes: dict[str, Any], status: str
) -> None:
    first = New(key="k", digest=b"d" * 16, created_by=OTHER)
    turn = New(created_by=WHO, **changes)

    await hand.accept(first, turn)

    assert (await hand.status(turn), await created_by(hand, turn)) == (status, WHO)
    assert await created_by(hand, first) == OTHER


async def test_it_is_stored_with_a_turn_that_was_cancelled_before_it_came(hand: Hand) -> None:
    turn = New(created_by=WHO)
    await early(hand, turn)

    await hand.accept(turn)

    assert (await hand.status(turn), await created_by(hand, turn)) == ("cancelled", WHO)


async def test_a_worker_reads_it_with_a_head_and_with_the_whole_turn(hand: Hand, pool: Pool) -> None:
    turn = New(created_by=WHO)
    await hand.accept(turn)
    heads = Heads(pool, LANE, input_size_bytes_max=100)

    (head,) = await heads.load_sessions([(turn.bucket, turn.session_id)], 1)
    (first,) = await heads.load_heads(turn.bucket, uuid.UUID(int=0), turn.bucket, 1)
    (whole,) = await heads.load_turns([turn.turn_id])

    assert [each.created_by for each in (head, first, whole)] == [WHO, WHO, WHO]
    assert head.written_at_s == first.written_at_s < float("inf")


async def test_a_worker_that_borrows_a_turn_reads_it_too(hand: Hand, open_hand: OpenHand, pool: Pool) -> None:
    turn, borrower = New(created_by=WHO), await open_hand()
    await hand.accept(turn)
    lent = Loan(turn.partition, hand.epochs[turn.partition], turn.turn_id, None, borrower.worker_id, 0, "moved")
    await Loans(pool, hand.worker_id, LANE, input_size_bytes_max=100).change([lent])

    (found,) = await Loans(pool, borrower.worker_id, LANE, input_size_bytes_max=100).borrowed([], 10)

    assert (found.head.turn_id, found.head.input, found.head.created_by) == (turn.turn_id, b"{}", WHO)
    assert (found.lent_as, found.epoch >= 0) == ("moved", True)


async def test_a_turn_that_another_turn_starts_has_its_parents(hand: Hand, pool: Pool) -> None:
    parent, child = New("parent", created_by=WHO), New("child", created_by=OTHER)
    await running(hand, parent)
    await started(hand, child, writer=parent)

    (row,) = await StartRows(pool, LANE).due(ALL_BUCKETS, -1, BOUNDS)
    await hand.start(child)

    assert row.created_by == WHO
    assert await created_by(hand, child) == WHO  # and not what the caller, or the start's record, says


async def test_of_a_parent_that_nobody_knows_the_child_is_nobodys_either(hand: Hand) -> None:
    parent, child = New("parent"), New("child", created_by=OTHER)
    await running(hand, parent)
    await started(hand, child, writer=parent)

    await hand.start(child)

    assert await created_by(hand, child) is None


async def test_one_call_may_have_starts_and_records_each_with_their_own(hand: Hand) -> None:
    parent, child = New("parent", created_by=WHO), New("child")
    posted = next(each for n in range(100) if (each := New(f"p-{n}", created_by=OTHER)).partition != child.partition)
    await running(hand, parent)
    await started(hand, child, writer=parent)
    partitions = [child.partition, posted.partition]
    froms = [0, await hand.position(posted.partition)]
    arguments = accept_arguments(LANE, "log-1", partitions, hand.epochs, froms, [0, 1], [posted, child])
    arguments[4][0] = arguments[5][0] = None

    await hand.call(1, *arguments)

    assert (await created_by(hand, child), await created_by(hand, posted)) == (WHO, OTHER)


async def test_a_worker_of_the_version_before_accepts_as_ever_and_leaves_a_child_its_parents(hand: Hand) -> None:
    """It knows nothing of who posted a turn: nobody knows then."""
    parent, child, posted = New("parent", created_by=WHO), New("child"), New("posted", created_by=WHO)
    await running(hand, parent)
    await started(hand, child, writer=parent)
    for number, (turn, position) in enumerate([(posted, await hand.position(posted.partition)), (child, None)], 2):
        froms = [position or 0]
        arguments = accept_arguments(LANE, "log-1", [turn.partition], hand.epochs, froms, [1], [turn])
        if position is None:
            arguments[4] = arguments[5] = [None]
        named = dict(zip(names_of(ACCEPT)[len(CALL) :], arguments, strict=True))
        row = await hand.connections[1].fetchrow(
            ACCEPT_BEFORE, hand.worker_id, hand.nos[1] + number - 1, *arguments_of_before(named)
        )
        assert row["held"] == [True]

    assert (await hand.status(posted), await created_by(hand, posted)) == ("queued", None)
    assert (await hand.status(child), await created_by(hand, child)) == ("queued", WHO)
    assert (await hand.turn(child))["tenant"] == TENANT

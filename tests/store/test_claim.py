"""A claim fences: from its commit on nothing of an older epoch is written, and nobody waits for anybody for ever."""

import asyncio
import random
import uuid

import pytest

from argosy.errors import StoreUnavailableError
from argosy.store.partition import Partitions, ResultRow
from argosy.store.pool import Pool
from argosy.turn.inbox import RowKind
from tests.store.conftest import OpenHand
from tests.store.hand import LANE, LOG, PARTITION_COUNT, Change, Hand, New, flush_arguments

ROUNDS = 40


async def waiters(hand: Hand) -> int:
    """How many backends wait for an advisory lock."""
    return int(
        await hand.connections[1].fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )


async def until_waiting(hand: Hand, count: int) -> None:
    async with asyncio.timeout(20):
        while await waiters(hand) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_epochs_grow_and_carry_the_lineage(hand: Hand, open_hand: OpenHand) -> None:
    first = dict(hand.epochs)
    second = await (await open_hand()).claim()

    lineage = await hand.rows("SELECT lineage()")
    assert all(second[each] > first[each] for each in range(PARTITION_COUNT))
    assert {each >> 32 for each in second.values()} == {lineage[0][0]}


async def test_epochs_grow_past_those_of_a_history_that_was_restored_over(hand: Hand) -> None:
    """Before the restore the lost history may have claimed any number of times."""
    await hand.rows("UPDATE lineages SET restores = 1 RETURNING 1")
    try:
        after = await hand.claim(0)
    finally:
        await hand.rows("UPDATE lineages SET restores = 0 RETURNING 1")

    assert after[0] > hand.epochs[1] + 2**32


async def test_nothing_is_written_by_the_owner_before_or_by_an_old_claim_of_the_same_worker(hand: Hand) -> None:
    turn = New("a")
    await hand.accept(turn)
    old = dict(hand.epochs)
    await hand.claim()

    arguments = flush_arguments(LANE, old, [Change(turn, ("queued", 0, 0), "running")])
    answer = await hand.call(2, *arguments)

    assert (answer.held, answer.applied) == ([False], [False])
    assert await hand.status(turn) == "queued"


async def test_a_claim_waits_for_the_flush_in_flight_and_what_it_wrote_stays(hand: Hand, open_hand: OpenHand) -> None:
    turn = New("a")
    await hand.accept(turn)
    other = await open_hand()
    transaction = hand.connections[2].transaction()
    await transaction.start()
    await hand.flush(Change(turn, ("queued", 0, 0), "running"))

    claiming = asyncio.create_task(other.claim(turn.partition))
    await until_waiting(hand, 1)
    await transaction.commit()
    await claiming

    assert await other.status(turn) == "running"


async def test_a_flush_that_comes_while_a_claim_commits_is_refused(hand: Hand, open_hand: OpenHand) -> None:
    turn = New("a")
    await hand.accept(turn)
    other = await open_hand()
    transaction = other.connections[2].transaction()
    await transaction.start()
    await other.claim(turn.partition)

    flushing = asyncio.create_task(hand.flush(Change(turn, ("queued", 0, 0), "running")))
    await until_waiting(hand, 1)
    await transaction.commit()

    assert (await flushing).held == [False]
    assert await hand.status(turn) == "queued"


async def test_a_claim_that_was_given_up_takes_no_effect_later(store_dsn: str, hand: Hand, open_hand: OpenHand) -> None:
    turn = New("a")
    await hand.accept(turn)
    other = await open_hand()
    pool = Pool(store_dsn, 2, 0.5)
    transaction = hand.connections[2].transaction()
    await transaction.start()
    await hand.flush(Change(turn, ("queued", 0, 0), "running"))

    with pytest.raises(StoreUnavailableError):
        await Partitions(pool, other.worker_id, "127.0.0.1:1", LANE).claim([turn.partition])
    await until_waiting(hand, 0)  # its backend noticed
    await transaction.commit()

    owners = await hand.rows("SELECT owner, epoch FROM partitions WHERE partition = $1", turn.partition)
    assert owners == [(hand.worker_id, hand.epochs[turn.partition])]
    await pool.close()


async def test_a_claim_ends_the_backend_of_an_owner_that_stopped_in_the_middle_of_its_flush(
    store_dsn: str, hand: Hand, open_hand: OpenHand
) -> None:
    turn = New("a")
    await hand.accept(turn)
    other = await open_hand()
    pool = Pool(store_dsn, 2, 10.0)
    has_ended = asyncio.Event()
    hand.connections[2].add_termination_listener(lambda _: has_ended.set())
    await hand.connections[2].transaction().start()
    await hand.flush(Change(turn, ("queued", 0, 0), "running"))

    claimed = await Partitions(pool, other.worker_id, "127.0.0.1:1", LANE).claim([turn.partition])

    assert claimed[turn.partition].epoch > hand.epochs[turn.partition]
    assert await other.status(turn) == "queued"
    async with asyncio.timeout(5):
        await has_ended.wait()
    await pool.close()


async def test_giving_under_an_older_claim_leaves_a_note_and_takes_nothing_away(
    store_dsn: str, hand: Hand, open_hand: OpenHand
) -> None:
    other = await open_hand()
    former = dict(hand.epochs)
    await other.claim(0)
    pool = Pool(store_dsn, 2, 10.0)
    partitions, turn_id = Partitions(pool, hand.worker_id, "", LANE), uuid.uuid4()

    await partitions.give([0, 1], [former[0], former[1]], [True, False], [(0, turn_id, "w/1")])
    await partitions.give([0], [former[0]], [False], [])  # said once

    owners = dict(await hand.rows("SELECT partition, owner FROM partitions"))
    assert (owners[0], owners[1], owners[2]) == (other.worker_id, None, hand.worker_id)
    notes = {each.partition: each for each in await partitions.notes([0, 1])}
    assert notes == {0: (0, former[0], True, [(turn_id, "w/1")]), 1: (1, former[1], False, [])}
    await pool.close()


async def test_a_claim_says_from_whom_it_has_a_partition(store_dsn: str, hand: Hand, open_hand: OpenHand) -> None:
    other = await open_hand()
    former = dict(hand.epochs)
    pool = Pool(store_dsn, 2, 10.0)
    await Partitions(pool, hand.worker_id, "", LANE).give([1], [former[1]], [True])

    claimed = await Partitions(pool, other.worker_id, "", LANE).claim([0, 1])

    assert {each: (it.former_owner, it.former_epoch) for each, it in claimed.items()} == {
        0: (hand.worker_id, former[0]),
        1: (hand.worker_id, former[1]),
    }
    await pool.close()


async def test_the_death_of_an_owner_is_known_to_whoever_has_the_partition_later(
    store_dsn: str, hand: Hand, open_hand: OpenHand
) -> None:
    other = await open_hand()
    pool = Pool(store_dsn, 2, 10.0)
    first, second = (Partitions(pool, each.worker_id, "", LANE) for each in (hand, other))
    before_s = await hand.connections[1].fetchval("SELECT extract(epoch FROM clock_timestamp())::double precision")

    never = await first.crashes([0, 1], [])
    marked = await first.crashes([0, 1], [1])
    claimed = await second.claim([0, 1])
    await second.give([1], [claimed[1].epoch], [True])
    await first.claim([1])

    assert never == {0: 0.0, 1: 0.0}
    assert marked[0] == 0.0
    assert marked[1] > before_s
    assert await first.crashes([0, 1], []) == marked
    await pool.close()


async def test_of_two_that_adopt_one_partition_the_first_keeps_it(
    store_dsn: str, hand: Hand, open_hand: OpenHand
) -> None:
    second, third = await open_hand(), await open_hand()
    pool = Pool(store_dsn, 4, 10.0)
    seen = [each for each in await Partitions(pool, second.worker_id, "", LANE).orphans([]) if each.partition < 2]

    won = await asyncio.gather(*(Partitions(pool, each.worker_id, "", LANE).adopt(seen) for each in (second, third)))

    assert sorted(partition for adopted in won for partition in adopted) == [0, 1]
    assert await Partitions(pool, second.worker_id, "", LANE).orphans([second.worker_id, third.worker_id]) != seen
    await pool.close()


async def test_what_a_former_owner_says_of_a_turn_is_said_once_and_releases_it(store_dsn: str, hand: Hand) -> None:
    pool = Pool(store_dsn, 2, 10.0)
    partitions, turn, runner = Partitions(pool, hand.worker_id, "", LANE), New("a"), f"{hand.worker_id}/7"
    await hand.accept(turn)
    await partitions.give(
        [turn.partition], [hand.epochs[turn.partition]], [True], [(turn.partition, turn.turn_id, runner)]
    )
    row = (turn.bucket, "t", turn.session_id, turn.turn_id)
    rows = [
        ResultRow(*row, RowKind.STEP_RESULT, "step.completed", "a", "1/a", b"{}"),
        ResultRow(*row, RowKind.HANDOVER, runner, "", runner, None),
    ]
    before = await partitions.notes([turn.partition])

    await partitions.write_results(rows)
    await partitions.write_results(rows)

    assert [each.running for each in before] == [[(turn.turn_id, runner)]]
    assert [each.running for each in await partitions.notes([turn.partition])] == [[]]
    assert await hand.rows("SELECT kind FROM inbox ORDER BY kind") == [("handover",), ("step_result",)]
    await pool.close()


async def test_a_claim_by_another_lane_is_another_matter(hand: Hand, store_dsn: str) -> None:
    other = await Hand(store_dsn, "gpu").open()
    await other.claim()

    assert (await hand.accept(New("a"))).held == [True]
    await other.close()


async def accept_and_finish(hand: Hand, name: str, lost: list[int]) -> int:
    """Accepts and finishes turns, claims again whatever was taken away; how many were finished."""
    finished = 0
    for n in range(ROUNDS):
        turns = [New(f"{name}-{n % 5}-{k}") for k in range(6)]
        accepted = await hand.accept(*turns)
        held = dict(zip(sorted({each.partition for each in turns}), accepted.held or [], strict=True))
        mine = [each for each in turns if held[each.partition]]
        done = [("turn.completed", "")]
        answer = await hand.flush(*(Change(each, ("queued", 0, 0), "completed", events=done) for each in mine))
        finished += len(mine) if answer.applied is None else sum(answer.applied)
        for partition in {each for each, is_held in held.items() if not is_held}:
            lost.append(partition)
            await hand.claim(partition)
    return finished


async def test_workers_that_take_partitions_from_each_other_never_deadlock_and_lose_nothing(
    store_dsn: str, open_hand: OpenHand
) -> None:
    """Two workers with both streams at once, and a third that claims at random."""
    first, second, third = [await open_hand() for _ in range(3)]
    await first.claim()
    await second.claim(0, 1)
    lost: list[int] = []

    async def take_away() -> None:
        chosen = random.Random(1)
        for _ in range(ROUNDS):
            await third.claim(*chosen.sample(range(PARTITION_COUNT), 2))
            await asyncio.sleep(0.005)

    async with asyncio.timeout(100):
        one, two, _ = await asyncio.gather(
            accept_and_finish(first, "x", lost), accept_and_finish(second, "y", lost), take_away()
        )

    assert lost
    completed = await first.rows("SELECT count(*), count(DISTINCT turn_id) FROM turns WHERE status = 'completed'")
    assert completed == [(one + two, one + two)]
    records = await first.rows("SELECT sum(position)::bigint FROM positions WHERE log_id = $1", LOG)
    assert await first.rows("SELECT count(*) FROM turns") == records
    events = await first.rows("SELECT count(*) FROM events")
    assert events == [(one + two,)]


async def test_both_streams_of_a_worker_write_at_once_while_it_is_claimed_from(hand: Hand, open_hand: OpenHand) -> None:
    other = await open_hand()
    started = [New(f"s{n}") for n in range(ROUNDS)]
    await hand.accept(*started)

    async def accepts() -> list[bool]:
        return [all((await hand.accept(New(f"n{n}"))).held or []) for n in range(ROUNDS)]

    async def flushes() -> list[bool]:
        return [all((await hand.flush(Change(each, ("queued", 0, 0), "running"))).held or []) for each in started]

    async def claims() -> None:
        await asyncio.sleep(0.05)
        await other.claim()

    async with asyncio.timeout(60):
        accepted, flushed, _ = await asyncio.gather(accepts(), flushes(), claims())

    for held in (accepted, flushed):
        assert held == sorted(held, reverse=True)  # once refused, refused for good
    written = await hand.rows("SELECT count(*) FROM turns WHERE status = 'running'")
    assert written == [(sum(flushed),)]

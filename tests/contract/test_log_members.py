"""Who is eligible for which partition, as members of a log come, leave and die; of every adapter."""

import asyncio
import os
import signal

import pytest

from tests.contract.conftest import Log, entries, until, values
from tests.harness.hand_clock import AheadClock


async def test_a_start_of_a_partition_that_is_somebody_elses_delivers_nothing(log: Log) -> None:
    first = await log.owner()
    await until(lambda: len(first.eligible) == 4)
    second = await log.owner()
    await until(lambda: 0 < len(second.eligible) < 4 and first.eligible | second.eligible == set(range(4)))
    theirs = min(second.eligible)
    writer = await log.writer()

    first.start(theirs, 0)
    await writer.append([entry for partition in range(4) for entry in entries(partition, 5)])

    await until(lambda: first.count + second.count == 20)
    assert second.values(theirs) == values(5)
    assert first.values(theirs) == []


async def test_two_readers_share_the_partitions_and_one_takes_over_when_the_other_leaves(log: Log) -> None:
    first = await log.owner()
    await until(lambda: len(first.eligible) == 4)
    second = await log.owner()
    await until(lambda: bool(second.eligible) and first.eligible | second.eligible == set(range(4)))
    assert not first.eligible & second.eligible
    writer = await log.writer()
    await writer.append([entry for partition in range(4) for entry in entries(partition, 10)])
    await until(lambda: first.count + second.count == 40)

    await second.reader.close()

    await until(lambda: len(first.eligible) == 4, within_s=5.0)
    await writer.append([entry for partition in range(4) for entry in entries(partition, 1, 10)])
    await until(lambda: all(first.values(partition)[-1:] == [b"10"] for partition in range(4)))


async def test_a_reader_knows_that_it_has_joined_although_others_have_everything(log: Log) -> None:
    owners = [await log.owner() for _ in range(4)]
    await until(lambda: all(len(owner.eligible) == 1 for owner in owners))
    assert all([await owner.reader.has_joined() for owner in owners])

    too_many = await log.owner()

    await until(too_many.reader.has_joined)
    assert not too_many.eligible


async def test_a_reader_that_leaves_is_eligible_for_nothing_until_it_joins_again(log: Log) -> None:
    first = await log.owner()
    await until(lambda: len(first.eligible) == 4)
    second = await log.owner()
    await until(lambda: bool(second.eligible) and first.eligible | second.eligible == set(range(4)))
    writer = await log.writer()

    await first.reader.leave()
    await until(lambda: not first.eligible and len(second.eligible) == 4, within_s=5.0)
    await writer.append([entry for partition in range(4) for entry in entries(partition, 10)])
    await until(lambda: second.count == 40)
    assert first.count == 0
    assert await first.reader.spans([0]) == {0: (0, 10)}  # it can still be asked

    first.positions = dict.fromkeys(range(4), 10)
    await first.reader.join()
    await until(lambda: bool(first.eligible) and first.eligible | second.eligible == set(range(4)))
    theirs = min(first.eligible)
    await writer.append(entries(theirs, 5, 10))
    await until(lambda: first.values(theirs) == values(5, 10))


async def test_leaving_twice_and_joining_without_having_left_are_no_trouble(log: Log) -> None:
    owner = await log.owner()
    await until(lambda: len(owner.eligible) == 4)

    await owner.reader.join()
    await owner.reader.leave()
    await owner.reader.leave()
    await until(lambda: not owner.eligible)
    await owner.reader.join()

    await until(lambda: len(owner.eligible) == 4)
    writer = await log.writer()
    await writer.append(entries(2, 3))
    await until(lambda: owner.values(2) == values(3))


async def test_what_the_log_said_before_a_stop_is_old_until_it_has_spoken_again(log: Log) -> None:
    """The process was stopped for longer than the group waits for it: others may have claimed what it was given."""
    clock = AheadClock()
    owner = await log.owner(clock=clock)
    await until(lambda: len(owner.eligible) == 4)
    assert not owner.reader.is_word_old()
    owner.changes.clear()

    clock.ahead_s += 60.0

    assert owner.reader.is_word_old()
    await until(lambda: not owner.reader.is_word_old())
    await until(lambda: owner.changes[-1:] == [frozenset(range(4))])


async def test_a_short_stop_makes_nothing_old(log: Log) -> None:
    clock = AheadClock()
    owner = await log.owner(clock=clock)
    await until(lambda: len(owner.eligible) == 4 and not owner.reader.is_word_old())

    clock.ahead_s += 1.0

    assert not owner.reader.is_word_old()


async def test_a_reader_that_has_left_can_be_closed_and_everybody_knows_the_bound(log: Log) -> None:
    owner = await log.owner()
    assert owner.reader.session_timeout_s() == 6.0

    await owner.reader.leave()
    await asyncio.wait_for(owner.reader.close(), 5.0)


@pytest.mark.slow
async def test_a_killed_readers_partitions_go_to_one_that_lives(log: Log) -> None:
    owner = await log.owner()
    await until(lambda: len(owner.eligible) == 4)
    member = await log.member_process()
    try:
        await until(lambda: 0 < len(owner.eligible) < 4)
        assert member.pid is not None
        os.kill(member.pid, signal.SIGKILL)

        # Kafka: the group's session timeout. Postgres: the dead session's lock is free at once.
        await until(lambda: len(owner.eligible) == 4, within_s=2.0 if log.dsn else 15.0)
    finally:
        if member.returncode is None:
            member.kill()
        await member.wait()


@pytest.mark.slow
async def test_a_reader_that_comes_after_a_killed_one_is_eligible_soon(log: Log) -> None:
    member = await log.member_process()
    assert member.stdout is not None
    assert member.pid is not None
    async with asyncio.timeout(20):
        while (said := await member.stdout.readline()) != b"4\n":
            assert said, "the member ended"  # at its end a pipe gives nothing, and at once, for ever
    os.kill(member.pid, signal.SIGKILL)
    await member.wait()

    owner = await log.owner()

    await until(lambda: len(owner.eligible) == 4, within_s=2.0 if log.dsn else 15.0)

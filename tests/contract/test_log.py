"""What argosy/log.py promises, of every adapter."""

import asyncio
import os
import random
import signal

import pytest

from argosy.errors import SettingError
from argosy.log import Entry, Outcome
from argosy.logs.open import ensure, open_reader, open_writer
from tests.contract.conftest import Log, entries, until, values


async def test_what_was_appended_is_read_with_key_headers_and_time_by_a_reader_that_comes_later(log: Log) -> None:
    writer = await log.writer()
    headers = (("traceparent", b"00-abc-def-01"), ("other", b""))

    appended = await writer.append([Entry(2, b"key", b"value", headers), Entry(2, b"", b"\x00\xff")])

    assert [(each.outcome, each.position) for each in appended] == [(Outcome.APPENDED, 0), (Outcome.APPENDED, 1)]
    await writer.close()
    owner = await log.owner()
    await until(lambda: owner.count == 2)
    first, second = owner.records(2)
    assert (first.position, first.key, first.value, first.headers) == (0, b"key", b"value", headers)
    assert (second.position, second.value, second.headers) == (1, b"\x00\xff", ())
    assert second.timestamp_ms >= first.timestamp_ms > 1_700_000_000_000


async def test_positions_of_a_partition_grow_with_the_order_of_appends(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()

    results = await asyncio.gather(*(writer.append(entries(n % 4, 25, n * 100)) for n in range(40)))

    await until(lambda: owner.count == 1_000)
    for each in results:
        positions = [one.position for one in each]
        assert positions == list(range(positions[0], positions[0] + 25))
    for partition in range(4):
        records = owner.records(partition)
        assert [record.position for record in records] == list(range(250))
        by_position = {
            one.position: b"%d" % (n * 100 + index)
            for n, each in enumerate(results)
            if n % 4 == partition
            for index, one in enumerate(each)
        }
        assert [record.value for record in records] == [by_position[position] for position in range(250)]


async def test_the_order_of_one_call_is_kept_within_each_partition(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()
    mixed = [Entry(n % 3, b"key", b"%d" % n) for n in range(300)]

    await writer.append(mixed)

    await until(lambda: owner.count == 300)
    for partition in range(3):
        assert owner.values(partition) == [b"%d" % n for n in range(300) if n % 3 == partition]


async def test_a_partition_is_read_from_exactly_the_position_it_was_started_at(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(1, 50))

    owner = await log.owner({1: 37})

    await until(lambda: owner.count == 13)
    assert owner.values(1) == values(13, 37)
    await writer.append(entries(1, 1, 50))
    await until(lambda: owner.count == 14)
    assert owner.records(1)[-1].position == 50


async def test_nothing_polled_before_a_start_comes_with_its_number(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(0, 500))
    owner = await log.owner(is_starting=False)
    await until(lambda: 0 in owner.eligible)
    randomness = random.Random(7)
    starts = {}

    for _ in range(30):
        position = randomness.randrange(500)
        starts[owner.start(0, position)] = position
        for _ in range(randomness.randrange(4)):
            await asyncio.sleep(randomness.random() * 0.02)
    last, position = list(starts.items())[-1]
    await until(lambda: len(owner.records(0, last)) == 500 - position)

    for claim, position in starts.items():
        found = [record.position for record in owner.records(0, claim)]
        assert found == list(range(position, position + len(found)))
    assert [batch.claim for batch in owner.batches] == sorted(batch.claim for batch in owner.batches)


async def test_a_stopped_partition_is_silent_until_it_is_started_again(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()
    await writer.append(entries(0, 10))
    await until(lambda: owner.count == 10)

    owner.reader.stop(0)
    await writer.append([*entries(0, 10, 10), *entries(1, 1)])
    await until(lambda: owner.values(1) == [b"0"])  # another partition goes on meanwhile
    assert owner.values(0) == values(10)

    claim = owner.start(0, 10)
    await until(lambda: owner.values(0, claim) == values(10, 10))


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


async def test_pause_and_resume_lose_nothing_and_deliver_nothing_in_between(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()
    await writer.append(entries(0, 100))
    await until(lambda: owner.count > 0)

    for round_no in range(1, 6):
        owner.reader.pause()
        seen = owner.count
        await writer.append(entries(round_no % 4, 200, 100 + round_no * 200))
        await asyncio.sleep(0.1)
        assert owner.count == seen
        owner.reader.resume()
        await until(lambda expected=100 + 200 * round_no: owner.count == expected)

    for partition in range(4):
        positions = [record.position for record in owner.records(partition)]
        assert positions == list(range(len(positions)))


async def test_a_partition_started_while_paused_waits_for_resume(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(0, 10))
    owner = await log.owner(is_starting=False)
    await until(lambda: len(owner.eligible) == 4)

    owner.reader.pause()
    claim = owner.start(0, 0)
    await asyncio.sleep(0.3)
    assert owner.count == 0
    owner.reader.resume()

    await until(lambda: owner.values(0, claim) == values(10))


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


async def test_a_reader_that_has_left_can_be_closed_and_everybody_knows_the_bound(log: Log) -> None:
    owner = await log.owner()
    assert owner.reader.session_timeout_s() == 6.0

    await owner.reader.leave()
    await asyncio.wait_for(owner.reader.close(), 5.0)


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


async def test_a_reader_that_comes_after_a_killed_one_is_eligible_soon(log: Log) -> None:
    member = await log.member_process()
    assert member.stdout is not None
    assert member.pid is not None
    async with asyncio.timeout(20):
        while await member.stdout.readline() != b"4\n":
            pass
    os.kill(member.pid, signal.SIGKILL)
    await member.wait()

    owner = await log.owner()

    await until(lambda: len(owner.eligible) == 4, within_s=2.0 if log.dsn else 15.0)


async def test_trim_moves_the_begin_and_what_is_left_is_read_from_there(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(3, 5_000))
    reader = open_reader(log.settings, log.dsn)
    assert await reader.spans([3]) == {3: (0, 5_000)}

    await log.trim(3, 4_321)

    assert await reader.spans([3, 0]) == {3: (4_321, 5_000), 0: (0, 0)}
    owner = await log.owner({3: 4_321})
    await until(lambda: owner.count == 679)
    assert owner.values(3) == values(679, 4_321)
    await log.trim(3, 10)
    assert (await reader.spans([3]))[3].begin == 4_321
    await reader.close()


async def test_a_topic_that_was_deleted_and_made_again_is_another_log(log: Log) -> None:
    owner = await log.owner()
    writer = await log.writer()
    await writer.append(entries(0, 10))
    await until(lambda: owner.count == 10)
    before = await owner.reader.identity()
    assert before == owner.identity == await owner.reader.identity()

    await log.drop_topic()
    async with asyncio.timeout(10):
        while True:
            try:
                await ensure(log.settings, log.dsn)
                break
            except SettingError:  # still being deleted
                await asyncio.sleep(0.1)

    async def is_another() -> bool:
        try:
            return (await owner.reader.identity()).topic_id != before.topic_id
        except SettingError:
            return False

    await until(is_another)
    after = await owner.reader.identity()
    assert after.cluster_id == before.cluster_id
    assert after.partition_count == 4
    assert await owner.reader.spans([0]) == {0: (0, 0)}


async def test_a_topic_that_is_not_there_is_named_together_with_the_command_that_makes_it(log: Log) -> None:
    settings = log.settings.model_copy(update={"kafka_topic_prefix": "nobody-made-this"})

    with pytest.raises(SettingError, match="argosy topics"):
        await open_writer(settings, log.dsn)
    reader = open_reader(settings, log.dsn)
    with pytest.raises(SettingError, match="argosy topics"):
        await reader.open(lambda batch: None, lambda partitions: None)
    await reader.close()


@pytest.mark.parametrize("count", [2, 8])
async def test_another_number_of_partitions_than_the_topic_has_is_refused(log: Log, count: int) -> None:
    assert await ensure(log.settings, log.dsn) == []  # again is no trouble

    with pytest.raises(SettingError, match="AGENT_TURNS_PARTITIONS"):
        await ensure(log.settings.model_copy(update={"agent_turns_partitions": count}), log.dsn)


async def test_a_partition_that_does_not_exist_is_certainly_not_appended_to(log: Log) -> None:
    writer = await log.writer()
    assert writer.partition_count == 4

    appended = await writer.append([Entry(99, b"key", b"value")])

    assert appended[0].outcome is Outcome.NOT_APPENDED
    assert appended[0].reason
    assert (await writer.append(entries(0, 1)))[0].outcome is Outcome.APPENDED


async def test_more_than_the_queue_holds_is_certainly_not_appended(log: Log) -> None:
    log.settings = log.settings.model_copy(update={"log_queue_max": 100})
    writer = await log.writer()

    results = await asyncio.gather(*(writer.append(entries(0, 50, n * 50)) for n in range(20)))

    flat = [one for each in results for one in each]
    assert {one.outcome for one in flat} == {Outcome.APPENDED, Outcome.NOT_APPENDED}
    owner = await log.owner()
    appended = [b"%d" % n for n, one in enumerate(flat) if one.outcome is Outcome.APPENDED]
    await until(lambda: owner.count == len(appended))
    assert sorted(map(int, filter(None, owner.values(0)))) == sorted(map(int, appended))


async def test_the_age_of_the_backlog_is_zero_when_nothing_is_in_flight(log: Log) -> None:
    writer = await log.writer()
    appending = asyncio.create_task(writer.append(entries(0, 100)))
    await asyncio.sleep(0)

    assert await writer.backlog_age_s() >= 0
    await appending
    assert await writer.backlog_age_s() == 0


async def test_a_closed_writer_refuses(log: Log) -> None:
    writer = await log.writer()
    await writer.close()

    assert [each.outcome for each in await writer.append(entries(0, 2))] == [Outcome.NOT_APPENDED] * 2


async def test_a_caller_that_goes_away_harms_nobody_else(log: Log) -> None:
    writer = await log.writer()
    leaving = [asyncio.create_task(writer.append(entries(0, 10))) for _ in range(10)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()

    appended = await writer.append(entries(1, 10))

    assert {each.outcome for each in appended} == {Outcome.APPENDED}
    assert await writer.backlog_age_s() == 0


async def test_twenty_thousand_records_come_through_once_each(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    async def client(number: int) -> None:
        for batch in range(10):
            first = number * 1_000 + batch * 100
            appended = await writer.append([Entry(n % 4, b"key", b"%d" % n) for n in range(first, first + 100)])
            assert {each.outcome for each in appended} == {Outcome.APPENDED}

    await asyncio.gather(*(client(number) for number in range(20)))
    appended_s = loop.time() - began_s
    await until(lambda: owner.count >= 20_000, within_s=60.0)

    print(f"{20_000 / appended_s:.0f} appended/s, {20_000 / (loop.time() - began_s):.0f} end to end/s")
    seen = [value for partition in range(4) for value in owner.values(partition)]
    assert sorted(int(value or b"") for value in seen) == list(range(20_000))
    for partition in range(4):
        assert [record.position for record in owner.records(partition)] == list(range(5_000))

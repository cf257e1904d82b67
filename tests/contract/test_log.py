"""What argosy/log.py promises of records and their order, of every adapter; its other promises: test_log_*.py."""

import asyncio
import random
from collections.abc import Callable

from argosy.log import Entry, Outcome
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


async def test_large_records_of_many_partitions_are_all_read(log: Log) -> None:
    chance = random.Random(1)
    large = [[chance.randbytes(size) for size in (250_000, 900_000) * 3] for _ in range(4)]
    writer = await log.writer()
    for partition, each in enumerate(large):
        await writer.append([Entry(partition, b"key", value) for value in each])

    owner = await log.owner()

    await until(lambda: owner.count == 24)
    assert [owner.values(partition) for partition in range(4)] == large


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

    for reading_no, position in starts.items():
        found = [record.position for record in owner.records(0, reading_no)]
        assert found == list(range(position, position + len(found)))
    assert [batch.reading_no for batch in owner.batches] == sorted(batch.reading_no for batch in owner.batches)


async def test_a_stopped_partition_is_silent_until_it_is_started_again(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()
    await writer.append(entries(0, 10))
    await until(lambda: owner.count == 10)

    owner.reader.stop(0)
    await writer.append([*entries(0, 10, 10), *entries(1, 1)])
    await until(lambda: owner.values(1) == [b"0"])  # another partition goes on meanwhile
    assert owner.values(0) == values(10)

    reading_no = owner.start(0, 10)
    await until(lambda: owner.values(0, reading_no) == values(10, 10))


async def test_pause_and_resume_lose_nothing_and_deliver_nothing_in_between(log: Log) -> None:
    writer = await log.writer()
    owner = await log.owner()
    await writer.append(entries(0, 100))
    await until(lambda: owner.count > 0)

    def has_read(count: int) -> Callable[[], bool]:
        return lambda: owner.count == count

    for round_no in range(1, 6):
        owner.reader.pause()
        seen = owner.count
        await writer.append(entries(round_no % 4, 200, 100 + round_no * 200))
        await asyncio.sleep(0.1)
        assert owner.count == seen
        owner.reader.resume()
        await until(has_read(100 + 200 * round_no))

    for partition in range(4):
        positions = [record.position for record in owner.records(partition)]
        assert positions == list(range(len(positions)))


async def test_a_partition_started_while_paused_waits_for_resume(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(0, 10))
    owner = await log.owner(is_starting=False)
    await until(lambda: len(owner.eligible) == 4)

    owner.reader.pause()
    reading_no = owner.start(0, 0)
    await asyncio.sleep(0.3)
    assert owner.count == 0
    owner.reader.resume()

    await until(lambda: owner.values(0, reading_no) == values(10))


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

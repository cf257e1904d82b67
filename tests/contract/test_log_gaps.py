"""Positions without a record: what a reader says of them, so that nobody takes a record after a dropped one for the
next.
"""

import asyncio
import uuid

import pytest
from confluent_kafka import Producer

from argosy.log import Batch
from argosy.store.pool import connect
from tests.contract.conftest import Log, Owner, entries, until, values


async def with_holes(log: Log, count: int) -> list[bytes]:
    """Records of partition 0 with holes between and behind them; what is left of them, in order."""
    if log.settings.log_backend == "kafka":
        return await asyncio.to_thread(transactions, log, count)
    writer = await log.writer()
    await writer.append(entries(0, count))
    connection = await connect(log.dsn)
    await connection.execute("DELETE FROM log_records WHERE position % 3 = 1 AND partition = 0")
    await connection.close()
    return [value for number, value in enumerate(values(count)) if number % 3 != 1]


def transactions(log: Log, count: int) -> list[bytes]:
    """One record each, every second one aborted."""
    producer = Producer(
        {"bootstrap.servers": log.settings.kafka_bootstrap_servers, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(20)
    kept = []
    for number, value in enumerate(values(count)):
        producer.begin_transaction()
        producer.produce(log.topic.name, value, partition=0)
        producer.flush(10)
        if number % 2:
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)
            kept.append(value)
    return kept


def is_unbroken(batches: list[Batch], position: int) -> bool:
    """Whether each batch begins where the one before ended, and ends behind its last record."""
    for each in batches:
        if each.begin != position or each.end < (each.records[-1].position + 1 if each.records else each.begin + 1):
            return False
        position = each.end
    return True


async def test_batches_are_one_chain_over_any_number_of_holes(log: Log) -> None:
    kept = await with_holes(log, 60)

    owner = await log.owner()
    await until(lambda: owner.values(0) == kept)

    mine = [each for each in owner.batches if each.partition == 0]
    assert is_unbroken(mine, 0)
    assert [each.is_fresh for each in mine] == [True] + [False] * (len(mine) - 1)


async def test_what_comes_first_after_a_start_or_a_resume_is_marked(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(0, 3))
    owner = await log.owner()
    await until(lambda: owner.count == 3)

    owner.reader.pause()
    await writer.append(entries(0, 3, 3))
    owner.reader.resume()
    await until(lambda: owner.count == 6)
    reading_no = owner.start(0, 2)
    await until(lambda: owner.values(0, reading_no) == values(4, 2))

    again = [each for each in owner.batches if each.reading_no == reading_no]
    assert is_unbroken(again, 2)
    assert again[0].is_fresh
    assert is_unbroken([each for each in owner.batches if each.partition == 0 and each.reading_no != reading_no], 0)


@pytest.mark.parametrize("log", ["kafka"], indirect=True)  # on the Postgres log nothing but a hand can make them
async def test_a_partition_whose_last_positions_are_holes_is_read_to_its_end(log: Log) -> None:
    await with_holes(log, 4)
    owner = await log.owner()

    async def is_at_the_end(owner: Owner) -> bool:
        return owner.batches[-1].end == (await owner.reader.spans([0]))[0].end if owner.batches else False

    await until(lambda: is_at_the_end(owner))

    assert is_unbroken(owner.batches, 0)
    assert owner.batches[-1].end == 8
    reading_no = owner.start(0, 7)
    await until(lambda: owner.batches[-1].reading_no == reading_no)
    assert owner.batches[-1] == Batch(0, reading_no, [], 7, 8, is_fresh=True)

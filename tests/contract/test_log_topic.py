"""A topic is made, trimmed, deleted and made again; of every adapter."""

import asyncio

import pytest

from argosy.errors import SettingError
from argosy.ingest import job
from argosy.logs.open import ensure_topic, open_reader, open_writer
from tests.contract.conftest import Log, entries, until, values


async def test_trim_moves_the_begin_and_what_is_left_is_read_from_there(log: Log) -> None:
    writer = await log.writer()
    await writer.append(entries(3, 5_000))
    reader = open_reader(log.settings, log.dsn, log.topic)
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
                await ensure_topic(log.settings, log.dsn, log.topic)
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
    settings = log.settings.model_copy(update={"kafka_topic_visible_s": 1.0})
    nowhere = log.topic._replace(name="nobody-made-this")

    with pytest.raises(SettingError, match="argosy topics"):
        await open_writer(settings, log.dsn, nowhere)
    reader = open_reader(settings, log.dsn, nowhere)
    with pytest.raises(SettingError, match="argosy topics"):
        await reader.open(lambda batch: None, lambda partitions: None)
    await reader.close()


@pytest.mark.parametrize("count", [2, 8])
async def test_another_number_of_partitions_than_the_topic_has_is_refused(log: Log, count: int) -> None:
    assert await ensure_topic(log.settings, log.dsn, log.topic) == []  # again is no trouble

    with pytest.raises(SettingError, match=log.topic.wording.count_setting):
        await ensure_topic(log.settings, log.dsn, log.topic._replace(partition_count=count))


@pytest.mark.parametrize("log", ["kafka", "postgres"], indirect=True)
async def test_turns_and_what_is_ingested_do_not_meet(log: Log) -> None:
    turns, ingest = log, Log(log.settings, log.dsn, job.LANE)
    await ensure_topic(ingest.settings, ingest.dsn, ingest.topic)
    readers = [await each.owner() for each in (turns, ingest)]

    await (await turns.writer()).append(entries(0, 10))
    await (await ingest.writer()).append(entries(0, 10, 10))

    await until(lambda: all(reader.count == 10 for reader in readers))
    assert [reader.values(0) for reader in readers] == [values(10), values(10, 10)]
    assert turns.topic.group != ingest.topic.group
    await ingest.close()

"""What a writer answers to appends, and what is certainly not appended; of every adapter."""

import asyncio

from argosy.log import Entry, Outcome
from tests.contract.conftest import Log, entries, until


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

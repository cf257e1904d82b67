"""Readers that come and go under load: every record reaches its owner once, in order, and no partition gets stuck."""

import asyncio
import random

import pytest

from argosy.log import Batch, Entry, LogReader, Outcome
from argosy.logs.open import open_reader
from tests.contract.conftest import Log, until

pytestmark = pytest.mark.slow

RECORDS = 20_000


class Truth:
    """Plays Postgres: who owns a partition, and up to where it is accepted."""

    def __init__(self) -> None:
        self.positions = dict.fromkeys(range(4), 0)
        self.claims: dict[int, int] = {}
        self.values: dict[int, list[bytes | None]] = {partition: [] for partition in range(4)}
        self.claim_no = 0


class Worker:
    """Claims what it is eligible for, and accepts what begins at the position under the claim that owns it."""

    def __init__(self, reader: LogReader, truth: Truth) -> None:
        self.reader = reader
        self.truth = truth
        self.mine: dict[int, int] = {}

    async def open(self) -> None:
        await self.reader.open(self.on_batch, self.on_eligible)

    def on_eligible(self, partitions: frozenset[int]) -> None:
        for partition in self.mine.keys() - partitions:
            self.reader.stop(partition)
            del self.mine[partition]
        for partition in partitions - self.mine.keys():
            self.claim(partition)

    def claim(self, partition: int) -> None:
        self.truth.claim_no += 1
        self.mine[partition] = self.truth.claims[partition] = self.truth.claim_no
        self.reader.start(partition, self.truth.positions[partition], self.truth.claim_no)

    def on_batch(self, batch: Batch) -> None:
        partition = batch.partition
        assert batch.reading_no == self.mine[partition]
        if self.truth.claims[partition] != batch.reading_no:
            return  # fenced: somebody else has claimed it
        assert batch.records[0].position == self.truth.positions[partition]
        positions = [record.position for record in batch.records]
        assert positions == list(range(positions[0], positions[0] + len(positions)))
        self.truth.values[partition] += [record.value for record in batch.records]
        self.truth.positions[partition] = positions[-1] + 1
        self.reader.accepted(partition, positions[-1] + 1)


@pytest.mark.parametrize("seed", range(3))
async def test_every_record_reaches_its_owner_once_while_readers_come_and_go(log: Log, seed: int) -> None:
    randomness = random.Random(seed)
    truth = Truth()
    writer = await log.writer()
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))

    async def append() -> None:
        for first in range(0, RECORDS, 40):
            found = await writer.append([Entry(n % 4, b"key", b"%d" % n) for n in range(first, first + 40)])
            assert {one.outcome for one in found} == {Outcome.APPENDED}
            await asyncio.sleep(0.02)

    appending = asyncio.create_task(append())
    workers: list[Worker] = []
    while not appending.done():
        if len(workers) < 3 and (not workers or randomness.random() < 0.6):
            worker = Worker(open_reader(log.settings, log.dsn, log.topic), truth)
            await worker.open()
            workers.append(worker)
        elif len(workers) > 1:
            await workers.pop(randomness.randrange(len(workers))).reader.close()
        for worker in workers:
            if randomness.random() < 0.3:
                worker.reader.pause()
        await asyncio.sleep(randomness.random() * 1.5)
        for worker in workers:
            worker.reader.resume()
    await appending

    await until(lambda: sum(truth.positions.values()) == RECORDS, 60.0)
    for partition in range(4):
        assert truth.values[partition] == [b"%d" % n for n in range(partition, RECORDS, 4)]
    for worker in workers:
        await worker.reader.close()
    assert failures == []

"""Workers that are killed while they read a topic, and topics with holes: each record takes effect once."""

import asyncio
import random
import uuid

import pytest
from confluent_kafka import Producer

from argosy.logs.open import ensure_topic
from argosy.logs.topic import ingest_topic
from tests.harness.processes import Managed, stopped
from tests.topics.conftest import World, until

pytestmark = pytest.mark.slow

PARTITIONS = 4


@pytest.mark.parametrize("seed", range(2))
async def test_kill_9_again_and_again_loses_and_doubles_nothing(world: World, seed: int) -> None:
    """A record that took effect twice would be refused: its node is there already."""
    chance = random.Random(seed)
    await ensure_topic(world.settings, world.settings.state_db_uri, ingest_topic(world.settings))
    await world.make_topic(PARTITIONS)
    count, written = 20_000, 0
    living: list[Managed] = []

    for round_no in range(8):
        for _ in range(2 - len(living)):
            living.append(await world.worker_process())
        for each in living:
            await asyncio.to_thread(each.wait_ready)
        more = count // 8
        await world.write([(n % PARTITIONS, "k", {"n": n}) for n in range(written, written + more)])
        written += more
        await asyncio.sleep(chance.uniform(0.05, 1.5))
        if round_no < 7:
            for each in chance.sample(living, chance.choice((1, 1, 2))):
                await asyncio.to_thread(each.kill)
                living.remove(each)

    await until(lambda: world.counted(count, 0), within_s=120.0)
    for each in living:
        assert await asyncio.to_thread(each.terminate) == 0
    numbers = {int(node.props.removeprefix(b'{"n":').removesuffix(b"}")) for node in (await world.nodes()).values()}
    assert numbers == set(range(count))
    assert await world.rejects() == []


async def test_a_worker_that_stands_still_while_another_goes_on_does_nothing_twice(world: World) -> None:
    await ensure_topic(world.settings, world.settings.state_db_uri, ingest_topic(world.settings))
    await world.make_topic(PARTITIONS)
    first = await world.worker_process()
    await asyncio.to_thread(first.wait_ready)
    await world.write([(n % PARTITIONS, "k", {"n": n}) for n in range(8_000)])
    await until(lambda: world.has(["0/0"]))

    with stopped(first):
        second = await world.worker_process()
        await asyncio.to_thread(second.wait_ready)
        await until(lambda: world.counted(8_000, 0), within_s=120.0)
    await world.write([(n % PARTITIONS, "k", {"n": n}) for n in range(8_000, 9_000)])
    await until(lambda: world.counted(9_000, 0), within_s=120.0)

    for each in (first, second):
        await asyncio.to_thread(each.kill)
    assert len(await world.nodes()) == 9_000


async def test_what_was_aborted_is_no_record(world: World) -> None:
    await world.make_topic(1)
    producer = Producer(
        {"bootstrap.servers": world.settings.kafka_bootstrap_servers, "transactional.id": uuid.uuid4().hex}
    )

    def write() -> None:
        producer.init_transactions(20)
        for number in range(60):
            producer.begin_transaction()
            producer.produce(world.topic, b'{"n":%d}' % number, b"k", 0)
            producer.flush(10)
            if number % 3:
                producer.commit_transaction(10)
            else:
                producer.abort_transaction(10)

    await asyncio.to_thread(write)
    async with world.worker(world.of("counted")):
        await until(lambda: world.counted(40, 0))
    async with world.worker(world.of("counted")):
        await world.write([(0, "k", {"n": 60})])
        await until(lambda: world.counted(41, 0))

    numbers = {int(node.props.removeprefix(b'{"n":').removesuffix(b"}")) for node in (await world.nodes()).values()}
    assert numbers == {*(number for number in range(60) if number % 3), 60}


async def test_a_compacted_topic_is_read_over_its_holes(world: World) -> None:
    settings = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
    await world.make_topic(1, **settings)
    for round_no in range(5):
        await world.write([(0, f"o-{n}", {"total": round_no}) for n in range(20)])
        await asyncio.sleep(1.0)
    await asyncio.sleep(20.0)  # the broker looks every 15 s; whether it has compacted or not, the outcome is the same

    async with world.worker():
        await until(lambda: world.has([f"o-{n}" for n in range(20)]))
        await world.write([(0, "o-0", None), (0, "last", {"total": 9})])
        await until(lambda: world.has(["last"]))

    nodes = await world.nodes()
    assert nodes.keys() == {*(f"o-{n}" for n in range(1, 20)), "last"}
    assert {nodes[f"o-{n}"].props for n in range(1, 20)} == {b'{"total":4}'}


async def test_what_was_deleted_before_it_was_read_is_passed(world: World) -> None:
    await world.make_topic(1)
    await world.write([(0, "k", {"n": n}) for n in range(100)])
    async with world.worker(world.of("counted")):
        await until(lambda: world.counted(100, 0))
    await world.write([(0, "k", {"n": n}) for n in range(100, 200)])
    await world.delete_records(0, 150)

    async with world.worker(world.of("counted")):
        await until(lambda: world.counted(150, 0))

    assert (await world.nodes()).keys() == {f"0/{n}" for n in [*range(100), *range(150, 200)]}

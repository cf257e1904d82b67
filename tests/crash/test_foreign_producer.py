"""A topic that others write to as well, with transactions, or that a broker compacts: what is committed and sound
becomes a turn, all the rest is passed.
"""

import asyncio
import time
import uuid
from collections.abc import Iterable

import asyncpg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource, ResourceType

from argosy import ids, record
from tests.harness.fleet import Fleet

pytestmark = pytest.mark.parametrize(("log_name", "partitions"), [("kafka", 1)])

TRANSACTIONS, EACH = 400, 5


def turn(session: str, tenant: str = "default") -> tuple[uuid.UUID, bytes, bytes]:
    """Id, key and value of a record as a gateway writes it."""
    session_id = ids.session_id_of(tenant, "default", session)
    turn_id = ids.TurnIdMint(tenant, "default").mint(ids.bucket_of(session_id))
    value = record.encode(record.TurnRequested(turn_id.bytes, tenant, "default", session, "echo", b'{"n":1}'))
    return turn_id, session_id.bytes, value


def produce(producer: Producer, topic: str, count: int) -> set[uuid.UUID]:
    produced = set()
    for _ in range(count):
        turn_id, key, value = turn(f"s-{uuid.uuid4().hex}")
        producer.produce(topic, value, key, partition=0)
        produced.add(turn_id)
    producer.flush(30)
    return produced


def transactions(bootstrap: str, topic: str) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """What was committed, and what was aborted, in turns."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex, "linger.ms": 0})
    producer.init_transactions(20)
    kept: set[uuid.UUID] = set()
    given_up: set[uuid.UUID] = set()
    for number in range(TRANSACTIONS):
        producer.begin_transaction()
        produced = produce(producer, topic, EACH)
        if number % 2:
            producer.abort_transaction(10)
            given_up |= produced
        else:
            producer.commit_transaction(10)
            kept |= produced
    return kept, given_up


async def completed(dsn: str, turns: Iterable[uuid.UUID], within_s: float = 60.0) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    wanted = list(turns)
    async with asyncio.timeout(within_s):
        while await connection.fetchval(  # noqa: ASYNC110 — what it waits for has no event
            "SELECT count(*) FROM turns WHERE turn_id = ANY ($1) AND status = 'completed'", wanted
        ) < len(wanted):
            await asyncio.sleep(0.02)
    await connection.close()


async def known(dsn: str, turns: Iterable[uuid.UUID]) -> int:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    count = await connection.fetchval("SELECT count(*) FROM turns WHERE turn_id = ANY ($1)", list(turns))
    await connection.close()
    return int(count)


async def accepted_to_the_end(dsn: str, end: int) -> None:
    """The position is behind the last marker, and the partition is known to be accepted up to now."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    query = "SELECT position = $1 AND accepted_through > now() - interval '10 seconds' FROM positions"
    async with asyncio.timeout(20):
        while not await connection.fetchval(query, end):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await connection.close()


@pytest.mark.slow
async def test_of_400_transactions_half_of_them_aborted_every_committed_record_becomes_a_turn_at_the_usual_rate(
    idle_fleet: Fleet, database: str, broker: str
) -> None:
    topic = f"{idle_fleet.name}.default"
    plain = produce(Producer({"bootstrap.servers": broker}), topic, TRANSACTIONS * EACH // 2)
    worker = idle_fleet.worker()
    began_s = time.monotonic()
    await completed(database, plain)
    plain_s = time.monotonic() - began_s
    worker.terminate()
    worker.wait_dead(20)

    kept, given_up = await asyncio.to_thread(transactions, broker, topic)
    idle_fleet.worker()
    began_s = time.monotonic()
    await completed(database, kept)
    holes_s = time.monotonic() - began_s

    print(f"{len(kept)} turns: {plain_s:.2f} s from a plain topic, {holes_s:.2f} s between {TRANSACTIONS} transactions")
    assert await known(database, given_up) == 0
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "look"})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)
    consumer.close()
    await accepted_to_the_end(database, end)
    assert holes_s < 3 * plain_s + 2


@pytest.mark.slow
async def test_what_is_left_of_a_compacted_topic_becomes_turns(idle_fleet: Fleet, database: str, broker: str) -> None:
    topic = f"{idle_fleet.name}.default"
    admin = AdminClient({"bootstrap.servers": broker})
    settings = {"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.0"}
    resource = ConfigResource(
        ResourceType.TOPIC, topic, incremental_configs=[_set(name, value) for name, value in settings.items()]
    )
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)
    producer = Producer({"bootstrap.servers": broker})
    last = {}
    for _ in range(6):  # each key again and again: the broker keeps the last of each, in the order of the log
        for number in range(100):
            turn_id, key, value = turn(f"s-{number % (20 + number)}")
            producer.produce(topic, value, key, partition=0)
            last[key] = turn_id
        producer.flush(10)
        await asyncio.sleep(0.3)  # a segment ends
    produce(producer, topic, 1)
    await asyncio.to_thread(until_compacted, broker, topic, 601)

    idle_fleet.worker()
    await completed(database, last.values())


def until_compacted(broker: str, topic: str, appended: int) -> None:
    until_s = time.monotonic() + 90
    while time.monotonic() < until_s:
        if len(read_all(broker, topic)) < appended // 2:
            return
        time.sleep(1)
    raise AssertionError("the broker has not compacted the topic")


def read_all(broker: str, topic: str) -> list[int]:
    config = {"bootstrap.servers": broker, "group.id": uuid.uuid4().hex, "enable.partition.eof": True}
    consumer = Consumer(config)
    consumer.assign([TopicPartition(topic, 0, 0)])
    offsets = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        offsets.append(message.offset())
    consumer.close()
    return offsets


def _set(name: str, value: str) -> ConfigEntry:
    from confluent_kafka.admin import AlterConfigOpType

    return ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)

"""The floor: the same number of records of the same size through the same two servers, with nothing in between.

One process with a thread that produces (idempotent, acks=all), a thread that consumes, and an event loop that writes
each batch with one `unnest` insert and, on a second connection, one `unnest` update. No order, no history, no
ownership.
"""

import asyncio
import contextlib
import threading
import time
import uuid

import asyncpg
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BATCH_ROWS = 400
PARTITIONS = 12

_TABLE = """
DROP TABLE IF EXISTS floor_turns;
CREATE TABLE floor_turns (
  turn_id uuid PRIMARY KEY, session_id uuid NOT NULL, status text NOT NULL, input bytea, result bytea
) WITH (fillfactor = 80)
"""
_INSERT = """
INSERT INTO floor_turns (turn_id, session_id, status, input)
SELECT u.t, u.s, 'queued', u.i FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS u (t, s, i)
"""
_UPDATE = """
UPDATE floor_turns AS t SET status = 'completed', result = u.r
FROM unnest($1::uuid[], $2::bytea[]) AS u (t, r) WHERE t.turn_id = u.t
"""


def _produce(bootstrap: str, topic: str, keys: list[bytes], value: bytes) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 1,
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 0,
        }
    )
    for number, key in enumerate(keys):
        producer.produce(topic, value, key, number % PARTITIONS)
        if number % 100 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the floor's producer could not deliver")


def _consume(
    bootstrap: str,
    topic: str,
    total: int,
    loop: asyncio.AbstractEventLoop,
    batches: "asyncio.Queue[list[tuple[bytes, bytes]]]",
) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    seen = 0
    deadline = time.monotonic() + 120
    while seen < total and time.monotonic() < deadline:
        first = consumer.poll(0.1)
        if first is None:
            continue
        messages = [first, *consumer.consume(BATCH_ROWS - 1, 0)]
        rows = [(message.key(), message.value()) for message in messages if not message.error()]
        seen += len(rows)
        loop.call_soon_threadsafe(batches.put_nowait, rows)
    consumer.close()


async def run_floor(bootstrap: str, dsn: str, total: int, value: bytes) -> float:
    """Return the seconds from the first produce to the commit of the last update."""
    topic = f"floor.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    inserter, updater = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await inserter.execute(_TABLE)
    insert, update = await inserter.prepare(_INSERT), await updater.prepare(_UPDATE)
    polled: asyncio.Queue[list[tuple[bytes, bytes]]] = asyncio.Queue()
    inserted: asyncio.Queue[list[uuid.UUID]] = asyncio.Queue()
    keys = [uuid.uuid4().bytes for _ in range(total)]
    result = b"x" * 200

    async def keep_inserting() -> None:
        written = 0
        while written < total:
            rows = await polled.get()
            ids = [uuid.UUID(bytes=key) for key, _ in rows]
            await insert.fetch(ids, ids, [value for _, value in rows])
            inserted.put_nowait(ids)
            written += len(rows)

    async def keep_updating() -> None:
        written = 0
        while written < total:
            ids = await inserted.get()
            while not inserted.empty() and len(ids) < BATCH_ROWS:
                ids += inserted.get_nowait()
            await update.fetch(ids, [result] * len(ids))
            written += len(ids)

    loop = asyncio.get_running_loop()
    consuming = threading.Thread(target=_consume, args=(bootstrap, topic, total, loop, polled), daemon=True)
    producing = threading.Thread(target=_produce, args=(bootstrap, topic, keys, value), daemon=True)
    consuming.start()
    started = time.monotonic()
    producing.start()
    async with asyncio.timeout(180):
        await asyncio.gather(keep_inserting(), keep_updating())
    elapsed_s = time.monotonic() - started
    await inserter.execute("DROP TABLE floor_turns")
    await asyncio.gather(inserter.close(), updater.close())
    producing.join(10)
    consuming.join(10)
    with contextlib.suppress(Exception):
        admin.delete_topics([topic])[topic].result(10)
    return elapsed_s

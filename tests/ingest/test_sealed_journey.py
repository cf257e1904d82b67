"""An upload of a fleet that seals payloads: the graph has it, and the log says nothing of it."""

import asyncio
import json
import uuid
from typing import Final

import asyncpg
import pytest
from confluent_kafka import Consumer

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.ingest.test_journey import posted, until_ended
from tests.shards.processes import ShardProcess

WORD: Final = b"swordfish"
CLEAR: Final = b"mackerel"  # the graph's name: what looks for WORD finds this one
LINES: Final = [
    b'{"op": "upsert_node", "id": "%d", "label": "Thing", "props": {"said": "%s"}}' % (number, WORD)
    for number in range(500)
]


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "2",
        "PAYLOAD_KEYS": "11" * 32,
    }


async def log_of(fleet: Fleet) -> bytes:
    """All records of ingest, uncompressed."""
    if fleet.bootstrap:
        return await asyncio.to_thread(topic_of, fleet)
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"})
    rows = await connection.fetch("SELECT value FROM log_records")
    await connection.close()
    return b"".join(row["value"] for row in rows)


def topic_of(fleet: Fleet) -> bytes:
    consumer = Consumer(
        {
            "bootstrap.servers": fleet.bootstrap,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found, ended = b"", 0
    try:
        consumer.subscribe([fleet.environment["INGEST_TOPIC"]])
        while ended < int(fleet.environment["KG_TASKS_PARTITIONS"]):
            if (message := consumer.poll(30)) is None:
                raise AssertionError("the topic does not end")
            if message.error() is not None:
                ended += 1
            else:
                found += message.value() or b""
    finally:
        consumer.close()
    return found


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_what_is_uploaded_is_in_the_graph_and_not_in_the_log(idle_fleet: Fleet, client: Client) -> None:
    gateway, worker = idle_fleet.begin_gateway(), idle_fleet.begin_ingest_worker()
    await asyncio.to_thread(gateway.wait_ready)
    await asyncio.to_thread(worker.wait_ready)

    job = await until_ended(client, (await posted(client, CLEAR.decode(), LINES, "one"))["job_id"])
    question = json.dumps({"cypher": f"MATCH (t:Thing) WHERE t.said = '{WORD.decode()}' RETURN count(t)"})
    found = await client.request(
        "POST", f"/v1/graphs/{CLEAR.decode()}/query", question, content_type="application/json"
    )
    log = await log_of(idle_fleet)

    assert (job["status"], job["applied"]) == ("done", len(LINES)), job
    assert found.json()["rows"] == [[len(LINES)]]
    assert (WORD in log, CLEAR in log) == (False, True)

    idle_fleet.environment.pop("PAYLOAD_KEYS")
    code, said = await asyncio.to_thread(idle_fleet.run, "worker", "ingest")
    assert (code, "set PAYLOAD_KEYS" in said) == (1, True)

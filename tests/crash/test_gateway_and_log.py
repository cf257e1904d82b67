"""Gateways and logs that die or stall while clients post: every 202 is kept, and a retry under one key is one turn."""

import asyncio
import signal

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from argosy import config
from argosy.ids import bucket_of, partition_of, session_id_of
from argosy.log import Entry, Outcome
from argosy.logs.open import open_writer
from argosy.logs.topic import turns_topic
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS, KAFKA_FIRST

PARTITIONS = 8


@KAFKA_FIRST
async def test_a_gateway_killed_while_posts_are_in_flight_and_the_retries_run_each_turn_once(
    fleet: Fleet, client: Client
) -> None:
    """F1."""
    gateway = fleet.processes[-1]
    fleet.worker()

    posting = asyncio.gather(*(client.post(f"session-{number % 20}", "steps", effects=1, n=1) for number in range(200)))
    await asyncio.sleep(0.05)
    gateway.kill()
    await asyncio.to_thread(fleet.gateway)
    turns = await posting

    await client.until_status(turns)
    await client.judge()


@BOTH_IN_FAULTS
async def test_what_is_cancelled_before_a_worker_has_read_it_never_runs_and_holds_up_nobody(
    fleet: Fleet, client: Client
) -> None:
    fleet.worker().kill()  # so the workflow is known
    turns = [await client.post(f"session-{number % 5}", "steps", n=1) for number in range(20)]
    answers = [await client.post_to(f"/v1/turns/{turn}/cancel") for turn in turns[:10]]

    fleet.worker()
    ended = await client.until_status(turns)

    assert {answer.status_code for answer in answers} == {202}
    assert [ended[turn]["status"] for turn in turns] == ["cancelled"] * 10 + ["completed"] * 10
    assert [ended[turn]["attempt"] for turn in turns] == [0] * 10 + [1] * 10
    again = [await client.post_to(f"/v1/turns/{turn}/cancel") for turn in turns[:10]]
    assert {answer.status_code for answer in again} == {200}
    await client.judge()


@BOTH_IN_FAULTS
async def test_a_second_gateway_on_the_same_log_serves_what_the_first_accepted(fleet: Fleet, client: Client) -> None:
    gateway = fleet.processes[-1]
    fleet.worker()
    turns = [await client.post(f"session-{number}", "waits", effects=2) for number in range(5)]

    gateway.kill()
    await asyncio.to_thread(fleet.gateway)
    for turn in turns:
        await client.signal(turn, "go", None)

    await client.until_status(turns)
    await client.judge()


@pytest.mark.parametrize("log_name", ["kafka"])
class TestKafka:
    """What only Kafka can do to a worker."""

    async def test_a_committed_offset_that_is_ahead_of_postgres_loses_nothing(
        self, fleet: Fleet, client: Client
    ) -> None:
        """F9: positions live in Postgres; what Kafka's group remembers is never read."""
        worker = fleet.worker()
        await client.until_status([await client.post("session-0", "steps", effects=1, n=1)])
        worker.kill()
        turns = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(40)]

        await asyncio.to_thread(_commit, fleet, 1_000)
        await asyncio.to_thread(fleet.worker)

        await client.until_status(turns)
        await client.judge()

    @pytest.mark.slow
    async def test_a_committed_offset_set_back_to_zero_repeats_nothing(self, fleet: Fleet, client: Client) -> None:
        """F10."""
        worker = fleet.worker()
        turns = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(40)]
        await client.until_status(turns)
        worker.kill()

        await asyncio.to_thread(_commit, fleet, 0)
        await asyncio.to_thread(fleet.worker)
        after = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(40)]

        await client.until_status(after)
        await client.judge()


@BOTH_IN_FAULTS
async def test_an_undecodable_record_is_kept_aside_and_its_session_goes_on(fleet: Fleet, client: Client) -> None:
    """F35."""
    fleet.worker()
    values = {"garbage": b"\x01not msgpack", "newer": b"\x63of a newer version", "zero": b"\x00", "empty": b""}
    settings = config.load(fleet.environment)
    turns = [await client.post(session, "steps", effects=1, n=1) for session in values]
    writer = await open_writer(settings, settings.state_db_uri, turns_topic(settings))
    for session, value in values.items():
        session_id = session_id_of("default", "default", session)
        entry = Entry(partition_of(bucket_of(session_id), PARTITIONS), session_id.bytes, value)
        (appended,) = await writer.append([entry])
        assert appended.outcome is Outcome.APPENDED
    await writer.close()
    turns += [await client.post(session, "steps", effects=1, n=1) for session in values]

    await client.until_status(turns)

    answer = await client.get("/v1/dead-letters")
    assert answer.status_code == 200
    assert len(answer.json()["dead_letters"]) == len(values)
    await client.judge()


def _commit(fleet: Fleet, offset: int) -> None:
    """Set the group's committed offsets, once the dead member is out of it."""
    admin = AdminClient({"bootstrap.servers": fleet.environment["KAFKA_BOOTSTRAP_SERVERS"], "log_level": 0})
    topic, group = f"{fleet.name}.default", f"{fleet.name}.default"
    offsets = [TopicPartition(topic, partition, offset) for partition in range(PARTITIONS)]
    for attempt in range(40):
        future = next(iter(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)]).values()))
        try:
            results = future.result(10)
            assert all(partition.error is None for partition in results.topic_partitions)
            return
        except Exception:
            if attempt == 39:
                raise
            asyncio.run(asyncio.sleep(0.25))


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_a_gateway_stopped_for_a_while_answers_again_afterwards(fleet: Fleet, client: Client) -> None:
    gateway = fleet.processes[-1]
    fleet.worker()

    gateway.send(signal.SIGSTOP)
    posting = asyncio.gather(*(client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(10)))
    await asyncio.sleep(0.5)
    gateway.send(signal.SIGCONT)

    await client.until_status(await posting)
    await client.judge()

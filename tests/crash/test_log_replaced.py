"""A log that is made again, emptied, grown or shared under a fleet is noticed, said, and loses nothing silently."""

import asyncio
import urllib.request

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.harness.client import Client
from tests.harness.fleet import Fleet

JSON = "application/json"

pytestmark = pytest.mark.parametrize("log_name", ["kafka"])


@pytest.fixture
def admin(broker: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker, "log_level": 0})


def topic_of(fleet: Fleet) -> str:
    return f"{fleet.name}.default"


def replaced_count(worker_url: str) -> float:
    with urllib.request.urlopen(worker_url.replace("readyz", "metrics"), timeout=5) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("argosy_log_replaced_total"))


async def until_replaced(worker_url: str) -> None:
    async with asyncio.timeout(15):
        while not await asyncio.to_thread(replaced_count, worker_url):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_unready(client: Client) -> None:
    async with asyncio.timeout(10):
        while (await client.request("GET", "/readyz")).status_code != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def make_again(admin: AdminClient, topic: str, partitions: int = 8) -> None:
    for future in admin.delete_topics([topic]).values():
        future.result(10)
    for _ in range(100):
        try:
            for future in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
                future.result(10)
            return
        except Exception as error:
            if "ALREADY_EXISTS" not in str(error) and "already exists" not in str(error):
                raise
    raise AssertionError("the topic could not be made again")


async def test_a_topic_that_is_made_again_is_noticed_and_read_from_its_start(
    fleet: Fleet, client: Client, admin: AdminClient
) -> None:
    worker = fleet.worker()
    before = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(10)]
    await client.until_status(before)

    await asyncio.to_thread(make_again, admin, topic_of(fleet))
    await until_replaced(worker.ready_url)
    after = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(10)]

    await client.until_status(after)
    await client.judge()
    assert "log.replaced" in worker.tail()


@pytest.mark.slow
async def test_records_that_were_deleted_before_they_were_accepted_are_missed_loudly(
    fleet: Fleet, client: Client, admin: AdminClient
) -> None:
    first = fleet.worker()
    await client.until_status([await client.post("a", "steps", effects=1, n=1)])
    first.terminate()
    lost = await client.post("a", "steps", n=1)
    futures = admin.delete_records([TopicPartition(topic_of(fleet), number, -1) for number in range(8)])
    for future in futures.values():
        await asyncio.to_thread(future.result, 10)

    second = await asyncio.to_thread(fleet.worker)
    kept = await client.post("a", "steps", effects=1, n=1)

    await client.until_status([kept])
    assert "1 records of partition" in second.tail()
    explained = (await client.get(f"/v1/turns/{lost}/explain")).json()
    assert explained.get("code") in ("log_replaced", "turn_not_found"), explained
    answer = (await client.get(f"/v1/turns/{lost}")).json()
    assert answer.get("status") in ("accepted", 404), answer


async def test_a_grown_topic_is_refused_at_a_start_and_served_by_who_knew_it_before(
    fleet: Fleet, client: Client, admin: AdminClient
) -> None:
    fleet.worker()
    for future in admin.create_partitions([NewPartitions(topic_of(fleet), 12)]).values():
        await asyncio.to_thread(future.result, 10)

    refused = fleet.begin_worker()

    assert await asyncio.to_thread(refused.wait_dead) == 1
    assert "has 12 partitions and had 8" in refused.tail()
    await client.until_status([await client.post("a", "steps", effects=1, n=1)])
    await client.judge()


async def test_a_second_fleet_on_one_database_is_refused(fleet: Fleet, client: Client, admin: AdminClient) -> None:
    fleet.worker()
    other = f"{fleet.name}x"
    for future in admin.create_topics([NewTopic(f"{other}.default", 8, 1)]).values():
        await asyncio.to_thread(future.result, 10)

    refused = fleet.begin_worker(KAFKA_TOPIC_PREFIX=other, KAFKA_GROUP=other)

    assert await asyncio.to_thread(refused.wait_dead) == 1
    assert "two fleets cannot share a database" in refused.tail()
    await client.until_status([await client.post("a", "steps", effects=1, n=1)])


@pytest.mark.slow
async def test_a_topic_made_again_with_other_partitions_takes_nothing_until_both_sides_start_anew(
    fleet: Fleet, client: Client, admin: AdminClient
) -> None:
    worker = fleet.worker()
    gateway = fleet.processes[0]
    await client.until_status([await client.post("a", "steps", effects=1, n=1)])

    await asyncio.to_thread(make_again, admin, topic_of(fleet), 4)

    assert await asyncio.to_thread(worker.wait_dead) == 1
    assert "was made again with 4 partitions, it had 8: start again" in worker.tail()
    await until_unready(client)
    refused = await client.request("POST", "/v1/sessions/b/turns", '{"workflow": "steps"}', content_type=JSON)
    assert (refused.status_code, refused.json()["code"]) == (503, "log_unavailable")
    assert "start this gateway again" in refused.json()["detail"]
    gateway.terminate()
    await asyncio.to_thread(fleet.start)
    await client.until_status([await client.post(f"s{number}", "steps", effects=1, n=1) for number in range(8)])
    await client.judge()


async def test_of_two_fleets_that_start_at_once_on_one_database_one_ends(
    fleet: Fleet, client: Client, admin: AdminClient
) -> None:
    other = f"{fleet.name}x"
    for future in admin.create_topics([NewTopic(f"{other}.default", 8, 1)]).values():
        await asyncio.to_thread(future.result, 10)

    both = [
        fleet.begin_worker(),
        fleet.begin_worker(KAFKA_TOPIC_PREFIX=other, KAFKA_GROUP=other),
    ]

    async with asyncio.timeout(20):
        while all(worker.process.poll() is None for worker in both):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    [ended] = [worker for worker in both if worker.process.poll() is not None]
    assert "two fleets cannot share a database" in ended.tail()
    if ended is both[1]:
        await client.until_status([await client.post("a", "steps", effects=1, n=1)])

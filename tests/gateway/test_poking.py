"""The owner of a partition hears at once that something is due, wherever it has moved to."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy import ids
from argosy.rpc import worker_pb2, worker_pb2_grpc
from argosy.rpc.verify_calls import VerifyCalls
from argosy.secret import keys_of
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import LANE, Rows
from tests.harness.silent import SILENT

SECRET = "a secret of the tests, long enough"


class Ear(worker_pb2_grpc.WorkerServicer):  # type: ignore[misc]
    """A worker that only listens."""

    def __init__(self) -> None:
        self.worker_id = uuid.uuid4()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def Poke(self, requests: Any, context: Any) -> None:  # noqa: N802
        async for request in requests:
            self.heard.put_nowait(request)
            await context.write(worker_pb2.PokeResponse())

    async def next(self) -> Any:
        async with asyncio.timeout(5):
            return await self.heard.get()


Listen = Callable[[], Awaitable[tuple[Ear, str]]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    servers = []

    async def start() -> tuple[Ear, str]:
        ear = Ear()
        server = grpc.aio.server(interceptors=[VerifyCalls(keys_of(SECRET.encode()).calls, ear.worker_id, SILENT)])
        worker_pb2_grpc.add_WorkerServicer_to_server(ear, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return ear, f"127.0.0.1:{port}"

    yield start
    for server in servers:
        await server.stop(None)


async def own(rows: Rows, address: str, worker_id: uuid.UUID | None = None) -> None:
    """A worker at this address owns every partition."""
    await rows.connection.execute(
        "INSERT INTO partitions (lane, partition, epoch, owner, address)"
        " SELECT $1, p, 1, $2, $3 FROM generate_series(0, 63) AS p"
        " ON CONFLICT (lane, partition) DO UPDATE SET owner = $2, address = $3, epoch = partitions.epoch + 1",
        LANE, worker_id or uuid.uuid4(), address,
    )  # fmt: skip


@pytest.fixture(autouse=True)
async def nobody_owns_anything_afterwards(rows: Rows) -> AsyncIterator[None]:
    yield
    await rows.connection.execute("DELETE FROM partitions")


async def test_the_owner_hears_of_a_signal_before_and_after_it_is_written(
    open_gateway: OpenGateway, rows: Rows, listen: Listen
) -> None:
    ear, address = await listen()
    await own(rows, address, ear.worker_id)
    client = await open_gateway(graph_service_auth_secret=SECRET)
    turn_id = await rows.turn("s", "running", attempt=1)

    await client.post(f"/v1/turns/{turn_id}/signals/go", json=1)

    before, after = await ear.next(), await ear.next()
    assert (before.lane, list(before.inbox_buckets)) == (LANE, [])
    assert [(each.turn_id, each.tenant) for each in before.signalled_turns] == [(turn_id.bytes, rows.tenant)]
    assert (after.lane, list(after.signalled_turns)) == (LANE, [])
    assert list(after.inbox_buckets) == [ids.turn_bucket(turn_id)]


async def test_an_owner_that_moved_is_found(open_gateway: OpenGateway, rows: Rows, listen: Listen) -> None:
    await own(rows, "127.0.0.1:1")
    client = await open_gateway(graph_service_auth_secret=SECRET, gateway_cache_s=60.0)
    ear, address = await listen()
    await own(rows, address, ear.worker_id)
    turn_id = await rows.turn("s", "running", attempt=1)

    await client.post(f"/v1/turns/{turn_id}/cancel")

    assert list((await ear.next()).inbox_buckets) == [ids.turn_bucket(turn_id)]


async def test_new_records_of_a_postgres_log_poke_their_owner(
    open_gateway: OpenGateway, rows: Rows, listen: Listen
) -> None:
    ear, address = await listen()
    await own(rows, address, ear.worker_id)
    client = await open_gateway(graph_service_auth_secret=SECRET)

    answer = await client.post("/v1/sessions/s/turns", json={"workflow": "echo"})

    partition = ids.partition_of(ids.turn_bucket(uuid.UUID(answer.json()["turn_id"])), 64)
    assert list((await ear.next()).log_partitions) == [partition]


async def test_nobody_waits_for_an_owner_that_is_gone(open_gateway: OpenGateway, rows: Rows) -> None:
    await own(rows, "127.0.0.1:1")
    client = await open_gateway(graph_service_auth_secret=SECRET)
    turn_id = await rows.turn("s", "running", attempt=1)

    async with asyncio.timeout(5):
        answers = [await client.post(f"/v1/turns/{turn_id}/signals/go", content=json.dumps(n)) for n in range(20)]

    assert {answer.status_code for answer in answers} == {202}

"""Who owns what, as the gateway tells an operator; and how to wait until it is as a test wants it."""

import asyncio
import time
from collections.abc import Collection, Sequence

import asyncpg

from argosy.ids import bucket_of, partition_of, session_id_of
from tests.harness.client import Client
from tests.harness.processes import Managed

NOBODY = 0
_SHARED_AS_IT_SHOULD = """
SELECT (SELECT count(*) FROM argosy.log_members) = $1 AND bool_and(
  l.member_id = (argosy.log_shares(ARRAY(SELECT m.member_id FROM argosy.log_members AS m),
                                   t.partition_count))[l.partition + 1])
FROM argosy.log_leases AS l JOIN argosy.log_topics AS t USING (topic_id)
"""
_SIGNS_OF_LIFE = "SELECT member_id, expires_at FROM argosy.log_members"


def partition_of_session(session: str, partitions: int) -> int:
    return partition_of(bucket_of(session_id_of("default", "default", session)), partitions)


def sessions_over(partitions: int, each: int = 1, name: str = "session") -> list[str]:
    """Names of sessions, `each` of every partition."""
    found: dict[int, list[str]] = {partition: [] for partition in range(partitions)}
    number = 0
    while any(len(names) < each for names in found.values()):
        names = found[partition_of_session(f"{name}-{number}", partitions)]
        if len(names) < each:
            names.append(f"{name}-{number}")
        number += 1
    return [name for names in found.values() for name in names]


async def owners(client: Client) -> dict[int, int]:
    """Partition → pid of its owner, NOBODY (0) when it has none or nobody knows it."""
    workers = (await client.get("/v1/fleet?limit=200")).json()["workers"]
    pids = {worker["worker_id"]: worker["pid"] for worker in workers}
    partitions = (await client.get("/v1/fleet/partitions?limit=200")).json()["partitions"]
    return {each["partition"]: pids.get(each["owner"], NOBODY) for each in partitions}


async def until_shared(client: Client, workers: Sequence[Managed], partitions: int, within_s: float = 15.0) -> None:
    """Returns when every partition is owned, by these workers alone, and each of them has its share: the same number as
    the others, or one more or less. Before that, partitions go on moving.
    """
    pids = {worker.pid for worker in workers}
    deadline = time.monotonic() + within_s
    while True:
        found = await owners(client)
        shares = [sum(pid == each for pid in found.values()) for each in pids]
        if len(found) == partitions and set(found.values()) == pids and max(shares) - min(shares) <= 1:
            return
        assert time.monotonic() < deadline, f"after {within_s} s partitions are owned by {found}, expected {pids}"
        await asyncio.sleep(0.05)


async def until_settled(postgres: asyncpg.Connection, workers: Sequence[Managed], within_s: float = 15.0) -> None:
    """Returns when these workers, all there are, have in the Postgres log's group what is their share, and own it.

    A worker that comes is ready before those that were there have given it its share, in their next rounds. On another
    log: at once.
    """
    if not await postgres.fetchval("SELECT EXISTS (SELECT 1 FROM argosy.log_members)"):
        return
    async with asyncio.timeout(within_s):
        while not await postgres.fetchval(_SHARED_AS_IT_SHOULD, len(workers)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        # Each has heard of it when it has begun a second round since.
        for _ in range(2):
            said = dict(await postgres.fetch(_SIGNS_OF_LIFE))
            while dict(await postgres.fetch(_SIGNS_OF_LIFE)).items() & said.items():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    for worker in workers:  # which it is not while it has not claimed what it is eligible for
        worker.wait_ready()


async def owned_turns(client: Client, worker: Managed, turns: Collection[str], partitions: int) -> set[str]:
    """Those of the turns whose partition this worker owns."""
    found = await owners(client)
    sessions = {request.turn_id: request.session for request in client.requests if request.turn_id}
    return {turn for turn in turns if found[partition_of_session(sessions[turn], partitions)] == worker.pid}

"""What was erased does not come back from the topic that it was read from."""

import uuid

import pytest
from structlog.testing import capture_logs

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.erasure import ErasureKind, Stage, erasure_id_of, target_digest
from argosy.graph.members import Members
from argosy.graph.transports.connect import connect_to_shards
from argosy.ingest.job import bucket_of_graph
from argosy.store.erasure import NewErasure, begin_erasure, get_erasure
from argosy.store.graph import Directory
from argosy.workers.maintenance.erasing import Erasing
from argosy.workers.maintenance.forgetting import GraphsForgetting
from tests.maintenance.term import term_of
from tests.topics.conftest import GRAPH, World, until

TENANT = "default"


async def erased(world: World, kind: ErasureKind) -> None:
    """Have the role erase the graph, or its tenant."""
    target = GRAPH if kind is ErasureKind.GRAPH else None
    asked = erasure_id_of(TENANT, uuid.uuid4().hex)
    bucket = bucket_of_graph(TENANT, GRAPH) if target else None
    digest = target_digest(kind, "default", target or "")
    await begin_erasure(world.pool, NewErasure(asked, TENANT, "default", kind, target, digest, None, bucket))
    directory, clock = Directory(world.pool), SystemClock()
    members = Members(directory, connect_to_shards(world.settings, clock), world.settings, clock)
    await members.refresh()
    role = Erasing(world.settings, world.pool, GraphsForgetting(directory, members, clock), clock, share_s=10.0)
    term = await term_of(world.settings.state_db_uri, role.name)

    async def is_done() -> bool:
        await role.tick(term)
        row = await get_erasure(world.pool, asked, TENANT)
        return row is not None and row.stage is Stage.DONE

    try:
        await until(is_done)
    finally:
        await members.close()


@pytest.mark.parametrize("kind", [ErasureKind.GRAPH, ErasureKind.TENANT])
async def test_a_graph_that_was_erased_is_not_filled_again(world: World, kind: ErasureKind) -> None:
    await world.make_topic()
    await world.write([(n % 3, f"o-{n}", {"total": n}) for n in range(9)])
    async with world.worker():
        await until(lambda: world.counted(9, 0))

    await erased(world, kind)
    with capture_logs() as logged:

        async def has_said_why() -> bool:
            return any(each["event"] == telemetry.TOPIC_WAITING and "was erased" in each["reason"] for each in logged)

        async with world.worker():
            await until(has_said_why, within_s=20)

    assert await Directory(world.pool).find(TENANT, GRAPH) is None


async def test_a_graph_that_was_erased_and_is_made_again_is_filled_again(world: World) -> None:
    await world.make_topic()
    await world.write([(n % 3, f"o-{n}", {"total": n}) for n in range(9)])
    async with world.worker():
        await until(lambda: world.counted(9, 0))
    await erased(world, ErasureKind.GRAPH)

    await world.graphs.create(TENANT, GRAPH)
    async with world.worker():
        await until(lambda: world.has([f"o-{n}" for n in range(9)]))

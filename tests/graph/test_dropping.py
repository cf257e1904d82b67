"""What the role graphs drops: what expired, what somebody left half dropped, and nothing else."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.config import Settings
from argosy.errors import OwnershipLostError, ShardUnavailableError
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.store.graph import Directory
from argosy.store.pool import connect
from argosy.workers.maintenance.dropping import Dropping
from tests.graph.memory_shards import Fault, MemoryShards
from tests.harness.hand_clock import AheadClock
from tests.maintenance.term import term_of

HOUR_S = 3_600.0


@pytest.fixture
async def role(
    directory: Directory, shards: MemoryShards, settings: Settings, clock: AheadClock
) -> AsyncIterator[Dropping]:
    members = Members(directory, shards, settings, clock)
    yield Dropping(directory, members, clock, share_s=10.0)
    await members.close()


async def expire(dsn: str, *graphs: str) -> None:
    connection = await connect(dsn)
    await connection.execute("UPDATE graphs SET expires_at = now() - interval '1 s' WHERE graph = ANY ($1)", graphs)
    await connection.close()


async def test_a_graph_whose_time_is_over_goes_and_others_stay(
    graphs: Graphs, shards: MemoryShards, role: Dropping, graph_dsn: str
) -> None:
    await graphs.create("acme", "over", ttl_s=HOUR_S)
    await graphs.create("acme", "later", ttl_s=HOUR_S)
    await graphs.create("acme", "ever")
    await expire(graph_dsn, "over")

    ticked = await role.tick(await term_of(graph_dsn, role.name))

    assert ticked.outcome == "1 graphs expired, 1 dropped"
    assert [row.graph for row in await graphs.list("acme", "", 10)] == ["ever", "later"]
    assert [len(shards.files_of("acme", name)) for name in ("over", "later", "ever")] == [0, 1, 1]


async def test_a_drop_that_met_a_shard_that_was_down_is_carried_on(
    graphs: Graphs, shards: MemoryShards, role: Dropping, directory: Directory, graph_dsn: str, clock: AheadClock
) -> None:
    row = await graphs.create("acme", "crm")
    shards.down.add(shards.endpoint_of(row.shard))
    with pytest.raises(ShardUnavailableError):
        await graphs.drop("acme", "crm")
    term = await term_of(graph_dsn, role.name)
    others = [f"other-{number}" for number in range(20)]
    await asyncio.gather(*(graphs.create("acme", each) for each in others), return_exceptions=True)
    await expire(graph_dsn, *others)

    first = await role.tick(term)
    shards.down.clear()
    clock.ahead_s += 0.3  # the pause of the breaker
    await role.tick(term)  # one is the probe, and the others wait
    await role.tick(term)

    assert "wait until their shard answers" in first.outcome
    assert await directory.dropped(uuid.UUID(int=0), 100) == []
    assert all(folder.files == {} for folder in shards.folders.values())


async def test_a_drop_that_fails_in_any_way_fails_no_other_one_and_is_tried_again(
    graphs: Graphs, shards: MemoryShards, role: Dropping, directory: Directory, graph_dsn: str
) -> None:
    names = [f"over-{number}" for number in range(10)]
    for each in names:
        await graphs.create("acme", each, ttl_s=HOUR_S)
    await expire(graph_dsn, *names)
    shards.faults.append(Fault("drop", is_bug=True))
    term = await term_of(graph_dsn, role.name)

    first, second = await role.tick(term), await role.tick(term)

    assert first.outcome == "10 graphs expired, 9 dropped; 1 could not be dropped"
    assert second.outcome == "0 graphs expired, 1 dropped"
    assert await directory.dropped(uuid.UUID(int=0), 100) == []


async def test_a_leader_whose_term_is_over_marks_nothing(
    graphs: Graphs, role: Dropping, directory: Directory, graph_dsn: str
) -> None:
    await graphs.create("acme", "over", ttl_s=HOUR_S)
    await expire(graph_dsn, "over")
    former = await term_of(graph_dsn, role.name)
    await term_of(graph_dsn, role.name)

    with pytest.raises(OwnershipLostError):
        await role.tick(former)

    assert await directory.dropped(uuid.UUID(int=0), 10) == []

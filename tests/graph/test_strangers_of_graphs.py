"""What is not a tenant's, or not a member's, leads nowhere."""

import asyncio

import pytest

from argosy.errors import GraphNotFoundError, ShardUnavailableError, WrongOwnerError
from argosy.graph.graphs import Graphs
from argosy.graph.ops import UpsertNode
from argosy.store.graph import GraphRow
from argosy.store.pool import connect
from tests.graph.conftest import OpenGateway
from tests.graph.memory_shards import Folder, MemoryShards
from tests.harness.same_tag import same_tag

ADA = UpsertNode(id="ada", label="Person")


async def execute(dsn: str, statement: str, *arguments: object) -> None:
    connection = await connect(dsn)
    await connection.execute(statement, *arguments)
    await connection.close()


async def test_tenants_whose_ids_look_alike_do_not_meet(graphs: Graphs) -> None:
    mine, theirs = "acme", same_tag("acme")
    await graphs.create(mine, "crm")
    await graphs.of(mine, "crm").apply([ADA])

    with pytest.raises(GraphNotFoundError):
        await graphs.of(theirs, "crm").get_nodes(["ada"])
    with pytest.raises(GraphNotFoundError):
        await graphs.drop(theirs, "crm")
    await graphs.create(theirs, "crm")

    assert await graphs.of(theirs, "crm").get_nodes(["ada"]) == [None]
    assert await graphs.of(mine, "crm").get_nodes(["ada"]) != [None]


async def test_a_forged_row_leads_nowhere(graphs: Graphs, shards: MemoryShards, graph_dsn: str) -> None:
    victim = await graphs.create("acme", "crm")
    await graphs.of("acme", "crm").apply([ADA])
    forged = "INSERT INTO graphs (tenant, graph, incarnation, shard, state) VALUES ($1, $2, $3, $4, 'active')"
    await execute(graph_dsn, forged, "thief", "crm", victim.incarnation, victim.shard)

    with pytest.raises(WrongOwnerError):
        await graphs.of("thief", "crm").get_nodes(["ada"])
    with pytest.raises(WrongOwnerError):
        await graphs.of("thief", "crm").apply([ADA])

    assert shards.files_of("thief", "crm") == []


async def test_an_empty_disk_under_a_known_endpoint_is_not_written(
    open_gateway: OpenGateway, shards: MemoryShards
) -> None:
    graphs = await open_gateway()
    row = await graphs.create("acme", "crm")
    endpoint = shards.endpoint_of(row.shard)
    kept, shards.folders[endpoint] = shards.folders[endpoint], Folder()
    names = [f"new-{number}" for number in range(12)]

    with pytest.raises(WrongOwnerError):
        await (await open_gateway()).of("acme", "crm").apply([ADA])
    made = await asyncio.gather(*(graphs.create("acme", name) for name in names), return_exceptions=True)

    assert shards.folders[endpoint].files == {}
    # Once one was refused, the shard is known to be another: what comes later asks nothing there.
    assert {GraphRow, WrongOwnerError} <= {type(each) for each in made} <= {
        GraphRow, WrongOwnerError, ShardUnavailableError
    }  # fmt: skip
    shards.folders[endpoint] = kept
    again = await open_gateway()
    await asyncio.gather(*(again.create("acme", name) for name in names))

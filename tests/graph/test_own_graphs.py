"""Sessions' own graphs: their sessions' from their first use, whoever made them, and nobody else makes one."""

import uuid
from typing import Any

import pytest

from argosy import Context, StepFailedError
from argosy.errors import GraphNameError
from argosy.graph.graphs import Graphs
from argosy.graph.ops import UpsertNode
from argosy.ids import session_id_of
from argosy.store.graph import Directory, GraphRow
from argosy.store.pool import connect
from tests.graph.conftest import OpenGateway
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

OWN = "session:default/ada"
SESSION = session_id_of("acme", "default", "ada")
NOBODYS = uuid.UUID(int=0)
ADA = UpsertNode(id="ada", label="Person")
WEEK_S = 7 * 86_400.0


async def row_of(directory: Directory, graph: str = OWN) -> GraphRow:
    row = await directory.find("acme", graph)
    assert row is not None
    return row


async def made_by_nobody(dsn: str, directory: Directory, graphs: Graphs) -> GraphRow:
    """The own graph as it would be if anybody could have made it."""
    made = await graphs.create("acme", OWN, session_id=NOBODYS)
    connection = await connect(dsn)
    await connection.execute("UPDATE graphs SET session_id = NULL WHERE incarnation = $1", made.incarnation)
    await connection.close()
    return await row_of(directory)


async def test_nobody_makes_a_session_s_own_graph_but_the_session(graphs: Graphs, directory: Directory) -> None:
    for name in (OWN, "session:", "session:ada"):
        with pytest.raises(GraphNameError, match="turns of the session alone"):
            await graphs.create("acme", name)

    assert await directory.list("acme", "", 10) == []


async def test_a_session_s_own_graph_that_is_there_is_used_by_everybody_and_lives_as_the_session_says(
    graphs: Graphs, open_gateway: OpenGateway, directory: Directory
) -> None:
    made = await graphs.create("acme", OWN, session_id=SESSION, ttl_s=600.0)
    other = await open_gateway()

    for ttl_s in (None, WEEK_S):
        assert await other.create("acme", OWN, ttl_s=ttl_s) == made
    assert (await other.of("acme", OWN).apply([ADA])).version == 1
    await other.drop("acme", OWN)

    assert await directory.find("acme", OWN) is None


async def test_a_turn_makes_no_graph_of_another_session(graphs: Graphs) -> None:
    async def meddle(ctx: Context) -> Any:
        return await ctx.graph(OWN).upsert_nodes([{"id": "bob", "label": "Person"}])

    other = ListJournal()
    other.tenant, other.shards = "acme", graphs

    with pytest.raises(StepFailedError, match="turns of the session alone") as failed:
        await run(meddle, None, other)
    await graphs.create("acme", OWN, session_id=SESSION)
    later = ListJournal()
    later.tenant, later.shards = "acme", graphs

    assert failed.value.error_type == GraphNameError.__name__
    assert await run(meddle, None, later) == 1


@pytest.mark.parametrize("ttl_s", [None, WEEK_S], ids=["for ever", "for a week"])
@pytest.mark.parametrize("before_s", [None, 600.0], ids=["made for ever", "made for a time"])
async def test_a_session_takes_over_the_graph_that_somebody_else_made_in_its_name(
    graphs: Graphs, directory: Directory, graph_dsn: str, before_s: float | None, ttl_s: float | None
) -> None:
    made = await made_by_nobody(graph_dsn, directory, graphs)
    if before_s is not None:
        await directory.extend(made, NOBODYS, before_s)

    taken = await graphs.create("acme", OWN, session_id=SESSION, ttl_s=ttl_s)

    assert taken == await row_of(directory)
    assert (taken.incarnation, taken.session_id) == (made.incarnation, SESSION)
    assert (taken.expires_at is None) == (ttl_s is None)
    if taken.expires_at is not None:
        assert (taken.expires_at - taken.created_at).total_seconds() == pytest.approx(WEEK_S, abs=60)


async def test_a_session_s_own_graph_lives_for_as_long_as_such_graphs_do_now(
    graphs: Graphs, directory: Directory
) -> None:
    await graphs.create("acme", OWN, session_id=SESSION)

    for_a_week = await graphs.create("acme", OWN, session_id=SESSION, ttl_s=WEEK_S)
    for_ever = await graphs.create("acme", OWN, session_id=SESSION)

    assert for_a_week.expires_at is not None
    assert for_ever.expires_at is None
    assert for_ever == await row_of(directory)


async def test_a_copy_under_the_name_of_a_session_s_own_graph_is_the_session_s(graphs: Graphs) -> None:
    await graphs.create("acme", "crm")
    await graphs.of("acme", "crm").apply([ADA])

    row = await graphs.restore("acme", OWN, graphs.of("acme", "crm").export(), deadline_s=5.0)

    assert row.session_id == SESSION
    assert row.expires_at is None
    with pytest.raises(GraphNameError, match="no such session"):
        await graphs.restore("acme", "session:ada", graphs.of("acme", "crm").export(), deadline_s=5.0)

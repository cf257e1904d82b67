"""Turns that run again because their database was restored, while graphs kept what they wrote."""

from typing import Any

import msgspec
import pytest

from argosy import Context
from argosy.workflow.journal import Park
from argosy.workflow.replay import Row
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.graph_flows import ADA, BOB, OWN, journal, remember
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


async def remember_bob(ctx: Context) -> Any:
    """What the code asks for when the model answers otherwise."""
    return await ctx.graph().upsert_nodes([BOB])


async def parked(graphs: MemoryGraphs, history: list[Row], attempt: int) -> tuple[Park, ListJournal]:
    """How the turn is parked, and its journal."""
    told = journal(graphs, history, attempt)
    with pytest.raises(Park) as park:
        await run(remember_bob, None, told)
    return park.value, told


def resumed(history: list[Row], park: Park) -> list[Row]:
    """The history of a turn that was parked so, once an operator has resumed it."""
    data = msgspec.json.encode({"reason": park.reason, "message": park.message})
    return [*history, (len(history) + 1, history[-1][1], "turn.parked", park.key, data)]


def ids_of(graphs: MemoryGraphs) -> list[str]:
    return list(graphs.graphs["default", OWN].nodes)


async def test_the_same_write_is_answered_as_it_was() -> None:
    graphs = MemoryGraphs()
    await run(remember, None, journal(graphs))

    assert await run(remember, None, journal(graphs)) == 1
    assert graphs.graphs["default", OWN].version == 1


async def test_another_write_parks_the_turn_and_is_not_applied_until_an_operator_says_so() -> None:
    graphs = MemoryGraphs()
    await run(remember, None, journal(graphs))

    park, once = await parked(graphs, [], 1)
    again, twice = await parked(graphs, once.rows, 2)

    assert (park.reason, park.key) == (again.reason, again.key) == ("graph_mismatch", "graph:write")
    assert f"graph '{OWN}' has other operations" in park.message
    assert "Nothing was written now" in park.message
    assert ids_of(graphs) == ["ada"]
    told = journal(graphs, resumed(twice.rows, again), 3)
    assert await run(remember_bob, None, told) == 2
    assert ids_of(graphs) == ["ada", "bob"]
    assert [kind for kind, _ in told.outcomes()][-2:] == ["step.intended", "step.completed"]


async def test_what_an_operator_lets_be_written_is_written_once() -> None:
    graphs = MemoryGraphs()
    await run(remember, None, journal(graphs))
    park, first = await parked(graphs, [], 1)
    crashed = journal(graphs, resumed(first.rows, park), 2)
    await run(remember_bob, None, crashed)
    crashed.rows.pop()  # the outcome was not durable yet

    assert await run(remember_bob, None, journal(graphs, crashed.rows, 3)) == 2
    assert graphs.graphs["default", OWN].version == 2


async def test_a_database_that_is_restored_once_more_parks_the_turn_once_more() -> None:
    graphs = MemoryGraphs()
    await run(remember, None, journal(graphs))
    park, first = await parked(graphs, [], 1)
    await run(remember_bob, None, journal(graphs, resumed(first.rows, park), 2))

    async def remember_both(ctx: Context) -> Any:
        return await ctx.graph().upsert_nodes([ADA, BOB])

    history: list[Row] = []
    for attempt in (1, 2):
        told = journal(graphs, history, attempt)
        with pytest.raises(Park) as caught:
            await run(remember_both, None, told)
        history = resumed(told.rows, caught.value)

    assert await run(remember_both, None, journal(graphs, history, 3)) == 3


async def test_a_resumed_turn_whose_code_does_not_write_any_more_goes_on() -> None:
    async def forget(ctx: Context) -> Any:
        return "nothing"

    graphs = MemoryGraphs()
    await run(remember, None, journal(graphs))
    park, told = await parked(graphs, [], 1)

    assert await run(forget, None, journal(graphs, resumed(told.rows, park), 2)) == "nothing"
    assert ids_of(graphs) == ["ada"]


async def test_a_resumed_turn_writes_to_the_graph_that_there_is_now() -> None:
    graphs = MemoryGraphs()
    await run(remember, None, journal(graphs))
    park, told = await parked(graphs, [], 1)
    graphs.drop("default", OWN)

    assert await run(remember_bob, None, journal(graphs, resumed(told.rows, park), 2)) == 1
    assert ids_of(graphs) == ["bob"]

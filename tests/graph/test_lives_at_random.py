"""Gateways create, use and drop the same few names at once, calls are cut off and processes killed, at random: no
creation answers with a life that had ended before it was asked, and in the end every name has one graph or none, and no
shard has anything of another life.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ArgosyError, GraphNotFoundError
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.store.graph import Directory, GraphRowState
from argosy.workers.maintenance.dropping import Dropping
from tests.graph.conftest import OpenGateway
from tests.graph.memory_shards import Fault, MemoryShards
from tests.maintenance.term import term_of

NAMES: Final = ("Acme/Corp", "tickets", "日本")  # each belongs on a shard of its own
METHODS: Final = ("create", "drop", "apply", "get_nodes")


class Lives:
    """What all gateways together know of lives. answered: those that a creation answered with, by name; ended: those
    of them that a drop has ended since.
    """

    def __init__(self) -> None:
        self.answered: dict[str, set[uuid.UUID]] = {name: set() for name in NAMES}
        self.ended: set[uuid.UUID] = set()

    async def create(self, graphs: Graphs, name: str) -> None:
        ended = set(self.ended)
        incarnation = (await graphs.create("acme", name)).incarnation
        assert incarnation not in ended
        self.answered[name].add(incarnation)

    async def drop(self, graphs: Graphs, name: str) -> None:
        begun = set(self.answered[name])
        await graphs.drop("acme", name)
        self.ended |= begun


@pytest.fixture
def settings() -> Settings:
    """Breakers stay closed: behind an open one, nothing would happen."""
    times = {"GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2", "GRAPH_CACHE_S": "60"}
    return config.load({**times, "ENGINE_BREAKER_THRESHOLD": "0"})


async def one_action(graphs: Graphs, shards: MemoryShards, lives: Lives, chance: random.Random) -> None:
    name = chance.choice(NAMES)
    if chance.random() < 0.3:
        shards.faults.append(Fault(chance.choice(METHODS), is_after=chance.random() < 0.5))
    works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "create": lambda: lives.create(graphs, name),
        "drop": lambda: lives.drop(graphs, name),
        "apply": lambda: graphs.of("acme", name).apply([UpsertNode(id="ada", label="Person")]),
        "get_nodes": lambda: graphs.of("acme", name).get_nodes(["ada"]),
    }
    task = asyncio.ensure_future(works[chance.choice(METHODS)]())
    done, _ = await asyncio.wait({task}, timeout=chance.choice((0.002, 0.01, 5.0)))
    if not done:
        task.cancel()  # killed wherever it is
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    assert not isinstance(result, Exception) or isinstance(result, ArgosyError), repr(result)


@pytest.mark.parametrize("seed", range(3))
async def test_every_name_has_one_graph_or_none(
    open_gateway: OpenGateway,
    shards: MemoryShards,
    directory: Directory,
    settings: Settings,
    graph_dsn: str,
    seed: int,
) -> None:
    lives = Lives()
    chances = [random.Random(f"{seed}/{number}") for number in range(4)]

    async def gateway(chance: random.Random) -> None:
        graphs = await open_gateway()
        for _ in range(40):
            await one_action(graphs, shards, lives, chance)

    await asyncio.gather(*map(gateway, chances))

    shards.faults.clear()
    members = Members(directory, shards, settings, SystemClock())
    await Dropping(directory, members, SystemClock(), share_s=10.0).tick(await term_of(graph_dsn, "graphs"))
    after = await open_gateway()
    for name in NAMES:
        try:
            row = await after.find("acme", name)
        except GraphNotFoundError:
            assert await directory.find("acme", name) is None
            assert shards.files_of("acme", name) == []
        else:
            assert row.state is GraphRowState.ACTIVE
            assert row.incarnation not in lives.ended
            assert [file.ref for file in shards.files_of("acme", name)] == [row.ref]
            await after.of("acme", name).get_nodes(["ada"])
    await members.close()

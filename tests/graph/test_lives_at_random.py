"""Gateways create, use and drop the same few names at once, calls are cut off and processes killed, at random: in the
end every name has one graph or none, and no shard has anything of another life.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

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

NAMES: Final = ("crm", "notes", "日本")
METHODS: Final = ("create", "drop", "apply", "get_nodes")


async def one_action(graphs: Graphs, shards: MemoryShards, chance: random.Random) -> None:
    name = chance.choice(NAMES)
    if chance.random() < 0.3:
        shards.faults.append(Fault(chance.choice(METHODS), is_after=chance.random() < 0.5))
    works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "create": lambda: graphs.create("acme", name),
        "drop": lambda: graphs.drop("acme", name),
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
    chances = [random.Random(f"{seed}/{number}") for number in range(4)]

    async def gateway(chance: random.Random) -> None:
        graphs = await open_gateway()
        for _ in range(40):
            await one_action(graphs, shards, chance)

    await asyncio.gather(*map(gateway, chances))

    shards.faults.clear()
    await asyncio.sleep(settings.engine_breaker_cooldown)
    members = Members(directory, shards.connect, settings, SystemClock())
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
            assert [file.ref for file in shards.files_of("acme", name)] == [row.ref]
            await after.of("acme", name).get_nodes(["ada"])
    await members.close()

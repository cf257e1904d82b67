"""A shard over gRPC that goes and comes back: its graphs wait for it, others do not notice, and nothing is lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from argosy import config, telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import GraphDeadlineError, GraphFileError, GraphMissingError, ShardUnavailableError
from argosy.graph.facts import Member, Node, WriteKey
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.graph.transports.connect import connect_to_shards
from argosy.graph.words import words_for_tenants
from argosy.secret import keys_of
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.server import ShardServer
from argosy.store.graph import Directory

SECRET = "s" * 32


class Shard:
    """A shard in a folder, behind the same socket each time it is started."""

    def __init__(self, folder: Path) -> None:
        self._settings = config.load(
            {
                "SHARD_DIR": str(folder),
                "SHARD_SOCKET": str(folder.with_suffix(".sock")),
                "GRAPH_SERVICE_AUTH_SECRET": SECRET,
            }
        )
        self._running = AsyncExitStack()

    async def start(self) -> Member:
        clock, engine = SystemClock(), open_engine(self._settings, is_own_process=False)
        shard = open_shard(self._settings, engine, clock)
        self._running.push_async_callback(shard.end)
        server = ShardServer(shard, engine.member_id, keys_of(SECRET.encode()).shards, clock, self._settings)
        await server.start()
        self._running.push_async_callback(server.stop, 0)
        self.member = Member(engine.member_id, server.address)
        return self.member

    async def stop(self) -> None:
        await self._running.aclose()


@pytest.fixture
async def two(folder: Path) -> AsyncIterator[list[Shard]]:
    shards = [Shard(folder / "one"), Shard(folder / "two")]
    yield shards
    for each in shards:
        await each.stop()


@pytest.fixture
async def served(two: list[Shard], directory: Directory, settings: Settings) -> AsyncIterator[Graphs]:
    await directory.seed([await each.start() for each in two])
    connected = settings.model_copy(update={"graph_service_auth_secret": SECRET})
    members = Members(directory, connect_to_shards(connected, SystemClock()), settings, SystemClock())
    yield Graphs(directory, members, settings, SystemClock())
    await members.close()


async def test_what_needs_it_goes_on_when_it_is_back(two: list[Shard], served: Graphs, settings: Settings) -> None:
    here = two[0].member.member_id
    rows = [await served.create("acme", f"graph-{number}") for number in range(12)]
    mine = next(row.graph for row in rows if row.shard == here)
    other = next(row.graph for row in rows if row.shard != here)
    ada, key = UpsertNode(id="ada", label="Person", props={"born": 1815}), WriteKey("k", SystemClock().unix_ms())
    applied = await served.of("acme", mine).apply([ada], key=key)

    await two[0].stop()
    with pytest.raises(ShardUnavailableError):
        await served.of("acme", mine).get_nodes(["ada"])
    assert await served.of("acme", other).get_nodes(["ada"]) == [None]
    await two[0].start()
    found = await _until_asked(served, mine)

    assert found[0] is not None
    assert json.loads(found[0].props) == {"born": 1815}
    assert await served.of("acme", mine).apply([ada], key=key) == applied, "it is the same write"


@pytest.mark.parametrize(
    ("spoil", "said_of_it"),
    [(lambda file: file.write_bytes(b"no database" * 1_000), "not a database"), (Path.unlink, "not here")],
    ids=["damaged", "gone"],
)
async def test_a_graph_whose_file_cannot_be_used_is_alone_with_that(
    spoil: Callable[[Path], Any], said_of_it: str, two: list[Shard], served: Graphs, folder: Path
) -> None:
    here = two[0].member.member_id
    rows = [await served.create("acme", f"graph-{number}") for number in range(12)]
    spoilt, whole = [row for row in rows if row.shard == here][:2]
    await two[0].stop()
    (file,) = (folder / "one").rglob(f"*{spoilt.incarnation.hex}*.db")
    spoil(file)
    await two[0].start()
    await _until_asked(served, whole.graph)

    with capture_logs() as said:
        for _ in range(10):
            told = await _refusal(served, spoilt.graph)
            assert await served.of("acme", whole.graph).get_nodes(["ada"]) == [None]

    (unusable,) = [each for each in said if each["event"] == telemetry.GRAPH_FILE_UNUSABLE]
    assert (unusable["graph"], unusable["endpoint"]) == (spoilt.graph, two[0].member.endpoint)
    assert said_of_it in unusable["error"]
    assert "`argosy graph drop`" in words_for_tenants(told)
    await served.drop("acme", spoilt.graph)
    await served.create("acme", spoilt.graph)
    assert await served.of("acme", spoilt.graph).get_nodes(["ada"]) == [None]


async def _refusal(graphs: Graphs, graph: str) -> GraphFileError | GraphMissingError:
    """Why a graph cannot be asked. A shard that answers late, on a busy machine, is asked again."""
    async with asyncio.timeout(20):
        while True:
            try:
                found = await graphs.of("acme", graph).get_nodes(["ada"], deadline_s=0.2)
            except (GraphFileError, GraphMissingError) as refusal:
                return refusal
            except (GraphDeadlineError, ShardUnavailableError):
                continue
            raise AssertionError(f"it was asked, and has {found}")


async def _until_asked(graphs: Graphs, graph: str) -> list[Node | None]:
    async with asyncio.timeout(20):
        while not (found := await _nodes(graphs, graph)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def _nodes(graphs: Graphs, graph: str) -> list[Node | None]:
    try:
        return list(await graphs.of("acme", graph).get_nodes(["ada"]))
    except ShardUnavailableError:
        return []

"""Graphs whose props are sealed, with keys in Postgres and a real shard that enforces lists: what is on its disk, in
copies, and left once a key is destroyed.
"""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import GraphInputError
from argosy.graph.asker import FLEET, Asker, user_label
from argosy.graph.bound import BoundGraph
from argosy.graph.facts import FencingToken, Member, Source
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import MergeProps, UpsertEdge, UpsertNode
from argosy.graph.snapshot import Snapshot
from argosy.graph.transports.connect import connect_to_shards
from argosy.seal.errors import GraphSealedError, PayloadUnreadableError
from argosy.seal.master import MasterKeys
from argosy.secret import load_keys
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.server import ShardServer
from argosy.store.graph import Directory
from argosy.store.pool import Pool
from argosy.store.sealing import seal_payloads
from argosy.store.tenant_key import TenantKeys
from argosy.workflow.graphs import LaneGraphs, TurnGraphs
from tests.seal.test_master_keys import OLD

TENANT: Final = "acme"
WORD: Final = b"swordfish"  # in values of the sealed graph
CLEAR: Final = b"mackerel"  # in those of one that is not: what looks for WORD finds this one
SAID: Final = WORD.decode()
ENFORCED: Final[dict[str, Any]] = {"kg_auth_required": True, "kg_brain_enforce": True, "kg_acl_default_allow": True}


class Fleet:
    """One shard, and processes that ask for its graphs."""

    def __init__(self, dsn: str, settings: Settings, folder: Path) -> None:
        self._dsn = dsn
        self.settings = settings
        self.folder = folder
        self._open: list[Pool | Members] = []

    def pool(self) -> Pool:
        self._open.append(Pool(self._dsn, 4, 30.0))
        return self._open[-1]  # type: ignore[return-value]

    def process(self, *, has_keys: bool = True, **changes: Any) -> Graphs:
        """The graphs as another process has them, which remembers nothing."""
        settings, clock = self.settings.model_copy(update=changes), SystemClock()
        pool = self.pool()
        seal_payloads(pool, MasterKeys([OLD], None, 1.0) if has_keys else None, clock, settings)
        directory = Directory(pool)
        members = Members(directory, connect_to_shards(settings, clock), settings, clock)
        self._open.insert(0, members)
        return Graphs(directory, members, settings, clock)

    def on_disk(self) -> bytes:
        """All that the shard's files have, its logs and indexes too, while it runs."""
        return b"".join(each.read_bytes() for each in self.folder.rglob("*") if each.is_file())

    async def close(self) -> None:
        for each in self._open:
            await each.close()


@pytest.fixture
async def fleet(directory: Directory, graph_dsn: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    folder = tmp_path / "shard"
    settings = config.load({}, shard_dir=str(folder), shard_port=0, argosy_data_dir=tmp_path, **ENFORCED)
    engine = open_engine(settings, is_own_process=False)
    shard = open_shard(settings, engine, SystemClock())
    server = ShardServer(shard, engine.member_id, load_keys("", tmp_path).shards, SystemClock(), settings)
    await server.start()
    await directory.seed([Member(engine.member_id, server.address)])
    fleet = Fleet(graph_dsn, settings, folder)
    yield fleet
    await fleet.close()
    await server.stop(0)
    await shard.end()


@pytest.fixture
def graphs(fleet: Fleet) -> Graphs:
    return fleet.process()


@pytest.fixture
async def vault(graphs: Graphs) -> BoundGraph:
    """A sealed graph with the word in each of its facts."""
    await graphs.create(TENANT, "vault", is_sealed=True, asker=FLEET)
    vault = graphs.of(TENANT, "vault", asker=FLEET)
    await vault.apply(
        [
            UpsertNode("ada", "Person", {"said": SAID}, {"v": [1.0, 0.0]}),
            UpsertNode("bob", "Person", {"deep": [{"said": SAID}]}),
            UpsertEdge("ada", "KNOWS", "bob", {"why": SAID}),
        ]
    )
    await vault.apply([MergeProps({"later": SAID}, id="bob")])
    return vault


async def text_of(graph: BoundGraph) -> bytes:
    return b"".join([each async for each in graph.export()])


async def test_the_word_is_nowhere_on_the_shard_nor_in_a_copy_of_its_file(
    fleet: Fleet, graphs: Graphs, vault: BoundGraph
) -> None:
    await graphs.create(TENANT, "open", asker=FLEET)
    clear = graphs.of(TENANT, "open", asker=FLEET)
    await clear.apply([UpsertNode("ada", "Person", {"said": CLEAR.decode()})])
    await clear.query("MATCH (n) RETURN n.said", {}, row_limit=1)  # a view of it has a file, too
    with pytest.raises(GraphSealedError):
        await vault.query("MATCH (n) RETURN n.said", {}, row_limit=1)
    copies = {}
    for name in ("vault", "open"):
        copies[name] = io.BytesIO()
        await graphs.snapshot(TENANT, name, copies[name], deadline_s=10)

    disk = await asyncio.to_thread(fleet.on_disk)

    assert CLEAR in disk
    assert WORD not in disk
    assert b"$sealed:" in disk
    assert CLEAR in copies["open"].getvalue()
    assert WORD not in copies["vault"].getvalue()
    assert (await text_of(fleet.process().of(TENANT, "vault", asker=FLEET))).count(WORD) == 4


async def test_once_a_tenants_keys_are_destroyed_nobody_reads_its_values(
    fleet: Fleet, graphs: Graphs, vault: BoundGraph, tmp_path: Path
) -> None:
    """Nor in a copy from before: that is made a graph again, and its values are as unreadable."""
    copy = tmp_path / "copy"
    with copy.open("wb") as file:
        await graphs.snapshot(TENANT, "vault", file, deadline_s=10)
    assert await TenantKeys(fleet.pool()).destroy(TENANT) == 2

    after = fleet.process()
    row = await after.receive(TENANT, "again", Snapshot(copy), deadline_s=10)

    assert row.is_sealed
    for name in ("vault", "again"):
        graph = after.of(TENANT, name, asker=FLEET)
        with pytest.raises(PayloadUnreadableError, match="was destroyed"):
            await graph.get_nodes(["ada"])
        with pytest.raises(PayloadUnreadableError, match="was destroyed"):
            await text_of(graph)
        assert (await graph.stats()).node_count == 2


async def test_a_snapshot_makes_a_graph_that_its_tenant_alone_opens(
    graphs: Graphs, vault: BoundGraph, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    with copy.open("wb") as file:
        await graphs.snapshot(TENANT, "vault", file, deadline_s=10)

    row = await graphs.receive(TENANT, "again", Snapshot(copy), deadline_s=10)
    with pytest.raises(GraphInputError, match="its tenant alone"):
        await graphs.receive("other", "again", Snapshot(copy), deadline_s=10)

    assert row.sealed_as == (await graphs.find(TENANT, "vault")).sealed_as != row.incarnation
    again = graphs.of(TENANT, "again", asker=FLEET)
    assert await again.get_nodes(["ada", "bob"]) == await vault.get_nodes(["ada", "bob"])
    await again.apply([MergeProps({"more": 1}, id="ada")])
    [ada] = await again.get_nodes(["ada"])
    assert ada is not None
    assert msgspec.json.decode(ada.props) == {"said": SAID, "more": 1}


async def test_a_copy_in_lines_becomes_a_graph_of_either_kind(fleet: Fleet, graphs: Graphs, vault: BoundGraph) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for line in (await text_of(vault)).splitlines(keepends=True):
            yield line

    sealed = await graphs.restore("other", "sealed", lines(), deadline_s=10, is_sealed=True)
    assert sealed.is_sealed
    assert WORD not in await asyncio.to_thread(fleet.on_disk)

    clear = await graphs.restore("other", "clear", lines(), deadline_s=10)
    assert not clear.is_sealed
    assert WORD in await asyncio.to_thread(fleet.on_disk)
    nodes = [await graphs.of("other", each, asker=FLEET).scan(limit=10) for each in ("sealed", "clear")]
    assert nodes[0] == nodes[1] == await vault.scan(limit=10)


async def test_what_a_graph_is_it_stays(fleet: Fleet, graphs: Graphs, vault: BoundGraph) -> None:
    other = fleet.process()
    await graphs.create(TENANT, "open", asker=FLEET)

    assert (await other.create(TENANT, "vault", is_sealed=True, asker=FLEET)).is_sealed
    assert (await other.create(TENANT, "vault", asker=FLEET)).is_sealed
    assert not (await other.create(TENANT, "open", is_sealed=False, asker=FLEET)).is_sealed
    for name, is_sealed in (("vault", False), ("open", True)):
        with pytest.raises(GraphSealedError, match="never changes"):
            await other.create(TENANT, name, is_sealed=is_sealed, asker=FLEET)
    listed = [(row.graph, row.is_sealed) for row in await other.list(TENANT, "", 10)]
    assert listed == [("open", False), ("vault", True)]


async def test_a_setting_seals_what_nobody_says_otherwise_of(fleet: Fleet) -> None:
    graphs = fleet.process(graphs_sealed=True)

    assert (await graphs.create(TENANT, "one", asker=FLEET)).is_sealed
    assert not (await graphs.create(TENANT, "other", is_sealed=False, asker=FLEET)).is_sealed


@pytest.mark.parametrize("changes", [{"has_keys": False}, {"payload_sealing": False}])
async def test_a_process_that_seals_nothing_makes_no_sealed_graph(fleet: Fleet, changes: dict[str, Any]) -> None:
    graphs = fleet.process(**changes)

    with pytest.raises(GraphSealedError, match="PAYLOAD_KEYS"):
        await graphs.create(TENANT, "vault", is_sealed=True, asker=FLEET)
    assert await graphs.list(TENANT, "", 10) == []
    assert not (await graphs.create(TENANT, "vault", asker=FLEET)).is_sealed


async def test_what_is_refused_without_the_shard_says_nothing_of_the_shard(fleet: Fleet, vault: BoundGraph) -> None:
    """Nor does it close the breaker of one that is down."""
    graphs = fleet.process()
    asked = graphs.of(TENANT, "vault", asker=FLEET)
    shard = (await graphs.find(TENANT, "vault")).shard

    with pytest.raises(GraphSealedError):
        await asked.query("MATCH (n) RETURN n", {}, row_limit=1)
    assert graphs.is_shard_up(shard) is None
    await asked.stats()
    assert graphs.is_shard_up(shard) is True


async def test_lists_of_nodes_hold_in_a_sealed_graph(graphs: Graphs, vault: BoundGraph) -> None:
    await vault.apply([UpsertNode("eve", "Person", {"said": SAID, "_acl": {"read": [user_label("eve")]}})])
    seen = {}
    for name in ("eve", "bob"):
        asker = Asker(frozenset({"*", user_label(name)}))
        seen[name] = await graphs.of(TENANT, "vault", asker=asker).get_nodes(["ada", "eve"])

    assert [node is not None for node in seen["eve"]] == [True, True]
    assert [node is not None for node in seen["bob"]] == [True, False]
    assert msgspec.json.decode(seen["eve"][1].props)["said"] == SAID  # type: ignore[union-attr]


async def test_a_turn_writes_to_its_sealed_graph_and_uploads_nothing_to_it(fleet: Fleet) -> None:
    graphs = fleet.process(graphs_sealed=True)
    lane = LaneGraphs(graphs, "default", None, asyncio.get_running_loop(), 0)
    token = FencingToken(uuid.uuid4(), 1, 1, 1)
    turn = TurnGraphs(lane, TENANT, "notes", token, asker=FLEET)

    assert (await turn.create("notes2")).is_sealed
    await turn.of("notes2").apply(
        [UpsertNode("ada", "Person", {"said": SAID})], key=None, token=token, source=Source("turn", "step")
    )
    with pytest.raises(GraphSealedError, match="'notes2' is sealed: nothing can be uploaded"):
        await turn.start_ingest("notes2", b'{"op":"delete_node","id":"ada"}', "k")

    [ada] = await turn.of("notes2").get_nodes(["ada"])
    assert ada is not None
    assert WORD in ada.props
    assert WORD not in await asyncio.to_thread(fleet.on_disk)

"""A backup of a database and its graphs, taken while they are written to, and restored to others."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec
import pytest

from argosy import config
from argosy.backup.checked import sealed
from argosy.backup.keys import ChosenKeys
from argosy.backup.manifest import MissingGraph, read_manifest, write_manifest
from argosy.backup.pace import Throttle
from argosy.backup.restoring import Restoring
from argosy.backup.taking import Bounds, Taking
from argosy.clock import SystemClock
from argosy.errors import GraphInputError, SettingError, WrongOwnerError
from argosy.graph.facts import GraphRef, Member, WriteKey
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.seed import Found
from argosy.graph.transport import Connect, Transport
from argosy.store.audit import Act, list_audit
from argosy.store.backup import list_backups, note_gone
from argosy.store.graph import Directory
from argosy.store.identity import Identities, NewToken
from argosy.store.pool import Pool
from tests.conftest import fresh_database
from tests.shards.engines import open_sqlite, person
from tests.shards.shards import S, shard_of

NAMES = ["crm", "docs", "shop"]
NO_KEYS = ChosenKeys([], [])
MADE_AT_MS = 1_900_000_000_000


class Shards(Connect):
    """Shards in this process."""

    def __init__(self) -> None:
        self.opened: dict[uuid.UUID, Transport] = {}

    def to(self, member: Member) -> Transport:
        return self.opened[member.member_id]


class Installation(NamedTuple):
    dsn: str
    shards: Shards
    members: list[Member]

    @property
    def found(self) -> list[Found]:
        return [Found(member, has_graphs=False) for member in self.members]


@asynccontextmanager
async def installation(dsn: str, folder: Path) -> AsyncIterator[Installation]:
    """A database, which may be empty, and two shards without graphs."""
    async with AsyncExitStack() as running:
        shards, members = Shards(), []
        for number in range(2):
            engine = open_sqlite(folder / f"shard-{number}")
            shards.opened[engine.member_id] = await running.enter_async_context(shard_of(engine))
            members.append(Member(engine.member_id, f"shard-{number}"))
        yield Installation(dsn, shards, members)


@asynccontextmanager
async def asked(place: Installation) -> AsyncIterator[tuple[Graphs, Taking]]:
    clock, settings = SystemClock(), config.load({})
    pool = Pool(place.dsn, 4, 30.0)
    directory = Directory(pool)
    members = Members(directory, place.shards, settings, clock)
    try:
        taking = Taking(directory, members, clock, Throttle(clock, 1e9), Bounds(2, 60.0, 86_400.0))
        yield Graphs(directory, members, settings, clock), taking
    finally:
        await members.close()
        await pool.close()


@pytest.fixture
async def before(postgres_dsn: str, template_18: str, tmp_path: Path) -> AsyncIterator[Installation]:
    with fresh_database(postgres_dsn, template_18) as dsn:
        async with installation(dsn, tmp_path / "before") as place:
            async with asked(place) as (graphs, _):
                await Directory(Pool(dsn, 1, 30.0)).seed(place.members)
                for name in NAMES:
                    await graphs.create("acme", name)
                    await write(graphs, name, 0)
            yield place


@pytest.fixture
async def after(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Installation]:
    with fresh_database(postgres_dsn) as dsn:
        async with installation(dsn, tmp_path / "after") as place:
            yield place


async def write(graphs: Graphs, name: str, number: int) -> None:
    await graphs.of("acme", name).apply([person(f"{number:05}")], key=WriteKey(f"key {number}", MADE_AT_MS))


async def ids(graphs: Graphs, name: str) -> list[str]:
    return [node.id for node in await graphs.of("acme", name).scan(limit=10_000)]


async def take(place: Installation, folder: Path) -> None:
    async with asked(place) as (_, taking):
        await taking.take(place.dsn, folder)


async def restore(place: Installation, folder: Path, *, keep_tokens: bool = False) -> int:
    restoring = Restoring(folder, at_once=2, graph_s=60.0, keep_tokens=keep_tokens)
    await restoring.check()
    return await restoring.restore(place.dsn, place.shards, place.found, NO_KEYS)


async def test_what_is_taken_under_writes_is_restored(
    before: Installation, after: Installation, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    written: dict[str, int] = dict.fromkeys(NAMES, 0)
    async with asked(before) as (graphs, taking):
        over = asyncio.Event()

        async def writes(name: str) -> None:
            while not over.is_set():
                await write(graphs, name, written[name] + 1)
                written[name] += 1

        writers = [asyncio.create_task(writes(name)) for name in NAMES]
        least = dict(written)
        manifest = await taking.take(before.dsn, folder)
        over.set()
        await asyncio.gather(*writers)
        lives = {name: await graphs.find("acme", name) for name in NAMES}
        assert read_manifest(folder) == manifest

    assert await restore(after, folder) == 3

    async with asked(after) as (graphs, _):
        for name in NAMES:
            row, found = await graphs.find("acme", name), await ids(graphs, name)
            assert row.incarnation == lives[name].incarnation
            assert manifest.lineage << 22 < row.generation < 2**53
            assert row.generation > lives[name].generation
            assert row.shard in {member.member_id for member in after.members}
            assert found == [f"{number:05}" for number in range(len(found))]
            assert least[name] < len(found) <= written[name] + 1
            for number in range(len(found)):  # what is told again is known
                await write(graphs, name, number)
            assert await ids(graphs, name) == found
            shard = after.shards.opened[row.shard]
            with pytest.raises(WrongOwnerError):  # whoever still has the row of before
                await shard.get_nodes(lives[name].ref, ["00000"], deadline_s=S)


@pytest.mark.slow
async def test_a_restore_raises_the_lineage_and_leaves_nothing_of_itself(
    before: Installation, after: Installation, tmp_path: Path
) -> None:
    await take(before, tmp_path / "backup")
    await restore(after, tmp_path / "backup")

    backup_id = read_manifest(tmp_path / "backup").backup_id
    for place in (before, after):  # a receipt names it, here and there
        assert [each.backup_id for each in await list_backups(place.dsn, 10)] == [backup_id]
    assert await note_gone(after.dsn, backup_id)
    assert await list_backups(after.dsn, 10) == []
    assert not await note_gone(after.dsn, uuid.uuid4())
    one, other = await asyncpg.connect(before.dsn), await asyncpg.connect(after.dsn)
    try:
        assert await other.fetchval("SELECT argosy.lineage()") > await one.fetchval("SELECT argosy.lineage()")
        assert await other.fetchval("SELECT to_regnamespace('argosy_restore')") is None
        assert await one.fetchval("SELECT count(*) FROM argosy.backups WHERE gone_at IS NULL AND graphs = 3") == 1
    finally:
        await asyncio.gather(one.close(), other.close())
    with pytest.raises(SettingError, match="empty database"):
        await restore(after, tmp_path / "backup")
    with pytest.raises(SettingError, match="has a backup"):
        await take(before, tmp_path / "backup")


@pytest.mark.parametrize("keep_tokens", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_no_token_of_a_backup_is_in_force_but_by_wish(
    before: Installation, after: Installation, tmp_path: Path, keep_tokens: bool
) -> None:
    pool, act = Pool(before.dsn, 1, 30.0), Act("local", "who", None, "default", "token.create")
    made = NewToken(uuid.uuid4(), b"1" * 32, "default", "", "user", [], None, None, "", "who", 86_400.0)
    token = await Identities(pool).create_token(made, act)
    await pool.close()
    await take(before, tmp_path / "backup")

    await restore(after, tmp_path / "backup", keep_tokens=keep_tokens)

    pool = Pool(after.dsn, 1, 30.0)
    found, told = await Identities(pool).find_token(made.hash), await list_audit(pool, None, None, 10)
    with pytest.raises(asyncpg.PostgresError, match="only added to"):
        await pool.execute("DELETE FROM audit")
    await pool.close()
    assert found is not None
    if keep_tokens:
        assert found[0] == token
        assert [each.act.action for each in told] == ["token.create"]
    else:
        assert (found[0].revoked_by, found[0].change_no) == ("restore", token.change_no + 2)
        assert [each.act.action for each in told] == ["tokens.revoke_all", "token.create"]


@pytest.mark.parametrize(
    "what",
    ["graphs", *(pytest.param(each, marks=pytest.mark.slow) for each in ("database.dump", "manifest.json", "missing"))],
)
async def test_a_wrong_checksum_touches_nothing(
    before: Installation, after: Installation, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "backup"
    await take(before, folder)
    path = next((folder / "graphs").iterdir()) if what in {"graphs", "missing"} else folder / what
    if what == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    with pytest.raises(GraphInputError):
        await restore(after, folder)

    connection = await asyncpg.connect(after.dsn)
    assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'argosy%'") == 0
    await connection.close()
    for shard in after.shards.opened.values():
        assert await shard.list(deadline_s=S) == []


@pytest.mark.slow
async def test_a_restore_that_ended_half_way_goes_on(
    before: Installation, after: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, away = tmp_path / "backup", tmp_path / "away"
    await take(before, folder)
    manifest = read_manifest(folder)
    lost = folder / manifest.graphs[1].file.path
    restoring = Restoring(folder, at_once=1, graph_s=60.0)
    shutil.move(lost, away)  # found right before, and then gone

    with pytest.raises(GraphInputError):
        await restoring.restore(after.dsn, after.shards, after.found, NO_KEYS)
    async with asked(after) as (graphs, _):
        with pytest.raises(Exception, match="restored"):
            await graphs.create("acme", manifest.graphs[1].graph)
    shutil.move(away, lost)
    await restore(after, folder)

    async with asked(after) as (graphs, _):
        for name in NAMES:
            assert await ids(graphs, name) == ["00000"]


async def test_folders_in_which_an_older_version_restored_are_refused_by_name(
    before: Installation, after: Installation, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    await take(before, folder)
    (known, *_) = read_manifest(folder).graphs
    ref = GraphRef(known.tenant, known.graph, known.incarnation, 123_456_789 << 31 | 1)  # as an older version gave it
    for shard in after.shards.opened.values():
        await shard.drop(ref, deadline_s=S)

    with pytest.raises(SettingError, match=f"graph '{known.graph}' of 'acme'.*shards with new folders"):
        await restore(after, folder)


@pytest.mark.slow
async def test_a_graph_that_was_dropped_meanwhile_is_missing(
    before: Installation, after: Installation, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    await take(before, folder)
    manifest = read_manifest(folder)
    *kept, gone = manifest.graphs
    missing = MissingGraph(gone.tenant, gone.graph, gone.incarnation)
    write_manifest(folder, sealed(msgspec.structs.replace(manifest, graphs=kept, missing=[missing])))

    assert await restore(after, folder) == 2

    async with asked(after) as (graphs, _):
        assert [row.graph for row in await graphs.list("acme", "", 10)] == sorted(set(NAMES) - {gone.graph})
        await graphs.create("acme", gone.graph)
        assert await ids(graphs, gone.graph) == []

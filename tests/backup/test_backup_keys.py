"""Keys of tenants are beside a backup, and what a deleted tenant had is readable in none."""

import asyncio
import os
import stat
import subprocess
import sys
import uuid
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from argosy import config
from argosy.backup.checked import sealed, text_of
from argosy.backup.database import find_program
from argosy.backup.keys import ChosenKeys, KeysFile, by_tenant, choose_keys, read_keys, write_keys
from argosy.backup.manifest import Manifest, NeededKey, sum_of, write_manifest
from argosy.backup.restoring import Restoring
from argosy.clock import SystemClock
from argosy.errors import GraphInputError, SettingError
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.master import MasterKeys
from argosy.seal.places import result_of
from argosy.store.backup import BackupKeys, KeyCopy, KeysRead, list_backups
from argosy.store.backup import read_keys as keys_of
from argosy.store.migrate import migrate
from argosy.store.pool import Pool
from argosy.store.seals import Seals
from argosy.store.tenant_key import TenantKeys
from tests.backup.test_backup import Installation, Shards, asked
from tests.backup.test_manifest import MADE
from tests.conftest import fresh_database
from tests.harness.processes import ROOT

TURN, AT = uuid.UUID(int=5), datetime(2026, 11, 30, 18, 5, tzinfo=UTC)
LATER = AT + timedelta(days=1)
NEEDED = [NeededKey("acme", 1, False), NeededKey("globex", 1, False), NeededKey("globex", 2, True)]
MANIFEST = msgspec.structs.replace(MADE, made_at=AT, installation="here", keys=NEEDED)


def copy(tenant: str, key_id: int, wrapped: bytes | None = b"w") -> KeyCopy:
    is_there = wrapped is not None
    return KeyCopy(tenant, key_id, False, "m" if is_there else None, wrapped, AT, None if is_there else LATER)


ALL = [copy("acme", 1), copy("globex", 1), copy("globex", 2)]


def keys_file(*keys: KeyCopy, at: datetime = LATER, installation: str = "here") -> KeysFile:
    return KeysFile("argosy keys", 1, installation, at, list(keys))


def test_all_keys_that_a_file_has_are_there_after_a_restore() -> None:
    newer = copy("acme", 2)

    chosen = choose_keys(MANIFEST, keys_file(*ALL, newer), is_without=False)

    assert (chosen.keys, chosen.lost) == ([*ALL, newer], [])


@pytest.mark.parametrize("gone", [[copy("acme", 1, None)], []], ids=["destroyed", "not there"])
def test_a_key_that_was_destroyed_since_the_backup_is_lost_and_its_number_stays(gone: list[KeyCopy]) -> None:
    chosen = choose_keys(MANIFEST, keys_file(*gone, *ALL[1:]), is_without=False)

    assert by_tenant(chosen.lost) == {"acme": [1]}
    assert chosen.keys is not None
    assert {(each.tenant, each.key_id): each.wrapped for each in chosen.keys} == {
        ("acme", 1): None, ("globex", 1): b"w", ("globex", 2): b"w",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, r"acme \(1\), globex \(1, 2\).*--keys FILE.*Nothing was restored"),
        (keys_file(*ALL, installation="there"), "another installation"),
        (keys_file(*ALL[:2], at=AT - timedelta(days=1)), r"from before the backup, and lacks 1 keys.*globex \(2\)"),
    ],
    ids=["none", "another's", "too old"],
)
def test_a_restore_that_would_lose_payloads_by_mistake_is_refused(given: KeysFile | None, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        choose_keys(MANIFEST, given, is_without=False)


def test_a_restore_may_be_meant_to_go_without_keys() -> None:
    chosen = choose_keys(MANIFEST, None, is_without=True)

    assert chosen.lost == NEEDED
    assert chosen.keys is not None
    assert [each.wrapped for each in chosen.keys] == [None] * 3


def test_a_backup_of_an_older_version_has_its_keys_and_takes_newer_ones() -> None:
    older = msgspec.structs.replace(MANIFEST, keys=None, installation="")

    assert choose_keys(older, None, is_without=False) == (None, [])
    assert choose_keys(older, keys_file(*ALL), is_without=False) == (ALL, [])
    with pytest.raises(SettingError, match="from before the backup"):
        choose_keys(older, keys_file(*ALL, at=AT - timedelta(days=1)), is_without=False)


def test_a_backup_that_needs_no_keys_is_restored_without() -> None:
    assert choose_keys(msgspec.structs.replace(MANIFEST, keys=[]), None, is_without=False) == ([], [])


def test_a_keys_file_is_this_users_alone_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for count in (1, 3):
        write_keys(path, KeysRead("here", 0, AT, ALL[:count]))

    assert read_keys(path).keys == ALL
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", [b"11" * 32, b"{}", text_of(sealed(keys_file(installation="there")))])
def test_no_other_file_is_ever_replaced_by_keys(tmp_path: Path, there: bytes) -> None:
    path = tmp_path / "payload-keys"
    path.write_bytes(there)

    with pytest.raises(SettingError, match="name another"):
        write_keys(path, KeysRead("here", 0, AT, ALL))

    assert path.read_bytes() == there


def test_a_keys_file_that_was_cut_or_altered_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write_keys(path, KeysRead("here", 0, AT, ALL))
    text = path.read_bytes()
    for at in range(0, len(text), 3):
        for changed in (text[:at], text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]):
            path.write_bytes(changed)
            with pytest.raises(GraphInputError):
                read_keys(path)


class Place:
    """A database, with a process that seals."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self._folder = folder
        self.pool = Pool(dsn, 2, 30.0)
        self._seals = Seals(TenantKeys(self.pool), MasterKeys([b"1" * 32], None, 1.0), SystemClock(), config.load({}))

    async def seal(self, tenant: str) -> bytes:
        value = await self._seals.sealed(tenant, f'"of {tenant}"'.encode(), result_of(tenant, TURN))
        assert value is not None
        return value

    async def open(self, tenant: str, value: bytes) -> bytes:
        return (await self._seals.opener([(tenant, value)])).open(tenant, value, result_of(tenant, TURN))

    async def take(self, folder: Path, keys: Path | None = None, *, is_without: bool = False) -> Manifest:
        async with asked(Installation(self.dsn, Shards(), [])) as (_, taking):
            return await taking.take(self.dsn, folder, keys, is_without=is_without)

    async def restore(self, folder: Path, keys: Path | None = None, *, is_without: bool = False) -> ChosenKeys:
        restoring = Restoring(folder, at_once=2, graph_s=60.0)
        chosen = choose_keys(restoring.manifest, None if keys is None else read_keys(keys), is_without=is_without)
        assert await restoring.restore(self.dsn, Shards(), [], chosen) == 0
        return chosen

    async def write(self, keys: Path) -> None:
        write_keys(keys, await keys_of(self.dsn))

    async def program(self, name: str) -> str:
        """A program of PostgreSQL that knows what the backup's knows."""
        (row,) = await self.pool.fetch("SELECT current_setting('server_version_num')::integer / 10000")
        return await find_program(name, row[0])

    async def run(self, *arguments: object) -> tuple[int, str]:
        """A command as an operator gives it: its exit code, and what it says."""
        environment = {
            "STATE_DB_URI": self.dsn, "ARGOSY_DATA_DIR": str(self._folder), "PATH": os.environ["PATH"],
            "ARGOSY_CONFIG_DIR": str(self._folder / "config"), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "argosy", *map(str, arguments)), env=environment, stdout=PIPE, stderr=STDOUT
        )
        said = (await process.communicate())[0].decode()
        return await process.wait(), said


@pytest.fixture
async def before(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    with fresh_database(postgres_dsn) as dsn:
        await migrate(dsn)
        place = Place(dsn, tmp_path / "before")
        yield place
        await place.pool.close()


@pytest.fixture
async def after(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    with fresh_database(postgres_dsn) as dsn:
        place = Place(dsn, tmp_path / "after")
        yield place
        await place.pool.close()


async def test_what_a_deleted_tenant_had_is_readable_in_no_older_backup_and_all_else_is(
    before: Place, after: Place, tmp_path: Path
) -> None:
    folder, keys = tmp_path / "backup", tmp_path / "keys"
    values = {tenant: await before.seal(tenant) for tenant in ("acme", "globex")}
    taken = await before.take(folder, keys)
    wrapped = [row[0] for row in await before.pool.fetch("SELECT wrapped FROM tenant_keys")]

    await before.pool.fetch("SELECT destroy_tenant_keys('acme')")
    await before.write(keys)
    chosen = await after.restore(folder, keys)

    assert taken.where_keys_are is BackupKeys.APART
    command = [await before.program("pg_restore"), "--file=-", str(folder / "database.dump")]
    dump = (await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)).stdout
    assert len(wrapped) == 4
    assert not any(each.hex().encode() in dump for each in wrapped)
    assert by_tenant(chosen.lost) == {"acme": [1, 2]}
    assert await after.open("globex", values["globex"]) == b'"of globex"'
    with pytest.raises(PayloadUnreadableError, match="destroyed"):
        await after.open("acme", values["acme"])
    numbers = "SELECT key_id, wrapped IS NULL FROM tenant_keys WHERE tenant = 'acme' ORDER BY key_id"
    await after.seal("acme")  # a tenant of this name begins anew
    assert [tuple(row) for row in await after.pool.fetch(numbers)] == [(1, True), (2, True), (3, False), (4, False)]
    for place in (before, after):
        assert [each.keys for each in await list_backups(place.dsn, 10)] == [BackupKeys.APART]


async def test_a_backup_of_sealed_payloads_says_where_its_keys_go_or_is_not_begun(
    before: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    await before.seal("acme")

    with pytest.raises(SettingError, match="--keys FILE"):
        await before.take(folder)
    with pytest.raises(SettingError, match="in the backup's folder"):
        await before.take(folder, folder / "keys")
    with pytest.raises(SettingError, match="there is no folder"):
        await before.take(folder, tmp_path / "nowhere" / "keys")

    assert not (folder / "manifest.json").exists()


@pytest.mark.slow
async def test_keys_that_were_destroyed_since_are_destroyed_in_a_backup_of_an_older_version_too(
    before: Place, after: Place, tmp_path: Path
) -> None:
    folder, keys = tmp_path / "backup", tmp_path / "keys"
    values = {tenant: await before.seal(tenant) for tenant in ("acme", "globex")}
    made = await before.take(folder, is_without=True)
    dump = folder / "database.dump"  # with the keys in it
    command = [await before.program("pg_dump"), "--format=custom", "--schema=argosy", f"--file={dump}", before.dsn]
    await asyncio.to_thread(subprocess.run, command, check=True)
    older = msgspec.structs.replace(made, format=2, keys=None, installation="", database=sum_of(folder, dump))
    write_manifest(folder, sealed(older))

    await before.pool.fetch("SELECT destroy_tenant_keys('acme')")
    await before.write(keys)
    await after.restore(folder, keys)

    assert await after.open("globex", values["globex"]) == b'"of globex"'
    with pytest.raises(PayloadUnreadableError, match="destroyed"):
        await after.open("acme", values["acme"])


@pytest.mark.slow
async def test_a_restore_without_keys_opens_nothing(before: Place, after: Place, tmp_path: Path) -> None:
    value = await before.seal("acme")
    await before.take(tmp_path / "backup", is_without=True)

    chosen = await after.restore(tmp_path / "backup", is_without=True)

    assert by_tenant(chosen.lost) == {"acme": [1, 2]}
    with pytest.raises(PayloadUnreadableError, match="destroyed"):
        await after.open("acme", value)


@pytest.mark.slow
async def test_an_operator_does_it_by_commands(before: Place, after: Place, tmp_path: Path) -> None:
    folder, keys = tmp_path / "backup", tmp_path / "keys"
    value = await before.seal("globex")
    await before.seal("acme")

    refused = await before.run("backup", folder)
    taken = await before.run("backup", folder, "--keys", keys)
    await before.pool.fetch("SELECT destroy_tenant_keys('acme')")
    wrote = await before.run("keys", "write", keys)
    without = await after.run("restore", folder, "--yes")
    restored = await after.run("restore", folder, "--yes", "--keys", keys)

    assert (refused[0], "--keys FILE" in refused[1]) == (1, True), refused
    assert (taken[0], '"keys": "apart"' in taken[1]) == (0, True), taken
    assert (wrote[0], "2 keys are in" in wrote[1]) == (0, True), wrote
    assert (without[0], "--without-keys" in without[1]) == (1, True), without
    assert (restored[0], "what keys 1, 2 of tenant acme sealed cannot be read" in restored[1]) == (0, True), restored
    assert await after.open("globex", value) == b'"of globex"'
    assert '"keys": "apart"' in (await after.run("backups", "list"))[1]


async def test_where_nothing_is_sealed_a_backup_needs_no_keys(before: Place, tmp_path: Path) -> None:
    taken = await before.take(tmp_path / "backup")

    assert (taken.where_keys_are, taken.keys) == (BackupKeys.NONE, [])

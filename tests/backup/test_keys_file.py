"""Whose keys file is replaced, and whose is not: it may be the only one that opens the backups there are."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from argosy.backup.checked import sealed, text_of
from argosy.backup.keys import read_keys, write_keys
from argosy.errors import SettingError
from argosy.store.backup import KeyCopy, KeysRead
from argosy.store.migrate import migrate
from tests.backup.test_backup_keys import Place
from tests.conftest import fresh_database

AT = datetime(2026, 11, 30, 18, 5, tzinfo=UTC)
LATER = AT + timedelta(days=1)
HERE, RESTORED = 7, 8


class OlderFile(msgspec.Struct):
    """As the version before wrote it."""

    kind: str
    format: int
    installation: str
    made_at: datetime
    keys: list[KeyCopy]
    checksum: str = ""


def copy(key_id: int, *, made_at: datetime = AT, is_destroyed: bool = False) -> KeyCopy:
    if is_destroyed:
        return KeyCopy("acme", key_id, False, None, None, made_at, LATER)
    return KeyCopy("acme", key_id, False, "m", b"w", made_at, None)


def write(path: Path, restores: int, *keys: KeyCopy) -> None:
    write_keys(path, KeysRead("here", restores, LATER, list(keys)))


@pytest.mark.parametrize(
    ("restores", "found"),
    [
        (RESTORED, [copy(1), copy(2, is_destroyed=True)]),
        (RESTORED, [copy(1)]),
        (RESTORED, [copy(1), copy(2, made_at=LATER)]),
        (HERE, [copy(1)]),
    ],
    ids=["destroyed after a restore", "not there after a restore", "another key of this number", "not there"],
)
def test_a_file_with_keys_that_nobody_deleted_is_not_replaced(
    tmp_path: Path, restores: int, found: list[KeyCopy]
) -> None:
    path = tmp_path / "keys"
    write(path, HERE, copy(1), copy(2))
    there = path.read_bytes()

    with pytest.raises(SettingError, match=r"1 keys of tenants: acme \(2\).*move this one away.*Nothing was written"):
        write(path, restores, *found)

    assert path.read_bytes() == there
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("restores", "found"),
    [
        (HERE, [copy(1), copy(2, is_destroyed=True)]),
        (HERE, [copy(1), copy(2), copy(3)]),
        (HERE, [copy(1)._replace(master="n", wrapped=b"x"), copy(2)]),
        (RESTORED, [copy(1), copy(2), copy(3)]),
    ],
    ids=["deleted here", "newer keys", "wrapped anew", "restored with all"],
)
def test_a_file_is_replaced_by_one_that_has_all_but_what_was_deleted(
    tmp_path: Path, restores: int, found: list[KeyCopy]
) -> None:
    path = tmp_path / "keys"
    write(path, HERE, copy(1), copy(2))

    write(path, restores, *found)

    assert read_keys(path).keys == found
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_was_destroyed_before_is_missed_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write(path, HERE, copy(1), copy(2, is_destroyed=True))

    write(path, RESTORED, copy(1))

    assert read_keys(path).keys == [copy(1)]


def test_a_file_of_a_version_that_did_not_say_which_database_wrote_it_is_read_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys"
    path.write_bytes(text_of(sealed(OlderFile("argosy keys", 1, "here", AT, [copy(1)]))))

    with pytest.raises(SettingError, match="Nothing was written"):
        write(path, HERE, copy(1, is_destroyed=True))
    write(path, HERE, copy(1), copy(2))

    assert read_keys(path).keys == [copy(1), copy(2)]


def test_what_is_left_of_a_write_that_was_ended_gives_the_file_no_other_mode(tmp_path: Path) -> None:
    path, part = tmp_path / "keys", tmp_path / "keys.part"
    part.write_bytes(b"half")
    part.chmod(0o644)

    write(path, HERE, copy(1))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


async def test_a_copy_that_was_restored_without_keys_leaves_the_file_of_the_one_that_goes_on(
    postgres_dsn: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    with fresh_database(postgres_dsn) as dsn, fresh_database(postgres_dsn) as copied:
        await migrate(dsn)
        here, beside = Place(dsn, tmp_path / "here"), Place(copied, tmp_path / "beside")
        try:
            values = {tenant: await here.seal(tenant) for tenant in ("acme", "globex")}
            await here.take(tmp_path / "backup", keys)
            there = keys.read_bytes()
            await beside.restore(tmp_path / "backup", is_without=True)

            with pytest.raises(SettingError, match=r"4 keys of tenants: acme \(1, 2\), globex \(1, 2\)"):
                await beside.write(keys)
            with pytest.raises(SettingError, match="Nothing was written"):
                await beside.take(tmp_path / "another", keys)

            assert keys.read_bytes() == there
            assert not (tmp_path / "another" / "manifest.json").exists()
            await beside.write(tmp_path / "keys-beside")
            await here.pool.fetch("SELECT destroy_tenant_keys('acme')")
            await here.write(keys)
            kept = {each.tenant for each in read_keys(keys).keys if each.wrapped is not None}
            assert kept == set(values) - {"acme"}
        finally:
            await here.pool.close()
            await beside.pool.close()


@pytest.mark.slow
async def test_a_copy_that_was_restored_with_keys_deletes_for_itself_alone(postgres_dsn: str, tmp_path: Path) -> None:
    keys, own = tmp_path / "keys", tmp_path / "keys-beside"
    with fresh_database(postgres_dsn) as dsn, fresh_database(postgres_dsn) as copied:
        await migrate(dsn)
        here, beside = Place(dsn, tmp_path / "here"), Place(copied, tmp_path / "beside")
        try:
            await here.seal("acme")
            await here.take(tmp_path / "backup", keys)
            await beside.restore(tmp_path / "backup", keys)
            await beside.write(own)

            await beside.pool.fetch("SELECT destroy_tenant_keys('acme')")
            with pytest.raises(SettingError, match=r"acme \(1, 2\)"):
                await beside.write(keys)
            await beside.write(own)

            assert [each.wrapped is None for each in read_keys(keys).keys] == [False, False]
            assert [each.wrapped is None for each in read_keys(own).keys] == [True, True]
        finally:
            await here.pool.close()
            await beside.pool.close()

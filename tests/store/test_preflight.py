"""What a Postgres is refused for, before anything is trusted to it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.errors import SettingError, StoreUnavailableError
from argosy.local.postgres import EmbeddedPostgres
from argosy.store import migrate, preflight


@pytest.fixture
def standby_dsn(folder: Path) -> Iterator[str]:
    with EmbeddedPostgres(folder):
        pass  # a primary that was stopped in order; its copy would follow it
    signal_file = folder / "data" / "standby.signal"
    signal_file.touch()
    owner = (folder / "data").stat()
    shutil.chown(signal_file, owner.st_uid, owner.st_gid)
    with EmbeddedPostgres(folder) as server:
        yield server.dsn


async def test_a_server_in_recovery_is_refused_in_one_line_that_names_the_setting(standby_dsn: str) -> None:
    with pytest.raises(
        SettingError, match=r"^STATE_DB_URI: this server is in recovery \(a standby\): name the primary$"
    ):
        await preflight.check(standby_dsn)
    with pytest.raises((SettingError, StoreUnavailableError)):
        await migrate.migrate(standby_dsn)
    with pytest.raises((SettingError, StoreUnavailableError)):
        await migrate.after_restore(standby_dsn, 1.0)

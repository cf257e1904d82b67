"""A bad STATE_DB_URI is one line that says what is wrong, and no part of a password is ever repeated."""

import os
import subprocess
import traceback
from pathlib import Path

import pytest

from argosy.errors import SettingError, StoreUnavailableError
from argosy.store import migrate, preflight
from argosy.store.dsn import check_dsn
from argosy.store.pool import Pool, connect
from tests.harness.processes import ARGOSY

PASSWORD = "hunter2secret"
UNREADABLE = {
    "# in the password": "postgresql://u:hunter2#secret@127.0.0.1:5432/db",
    "/ in the password": "postgresql://u:hunter2/secret@127.0.0.1:5432/db",
    "/ after digits": "postgresql://u:12/hunter2secret@127.0.0.1:5432/db",
    "? in the password": "postgresql://u:hunter2?secret@127.0.0.1:5432/db",
    "? after digits": "postgresql://u:12?hunter2secret@127.0.0.1:5432/db",
    "@ in the password": "postgresql://u:hunter2@secret@127.0.0.1:5432/db",
    "[ in the password": "postgresql://u:hunter2[secret@127.0.0.1:5432/db",
    "% in the password": "postgresql://u:hunter2%secret@127.0.0.1:5432/db",
    "a character that NFKC makes a /": "postgresql://u:hunter2\u2100secret@127.0.0.1:5432/db",
    "a line break": "postgresql://u:hunter2\nsecret@127.0.0.1:5432/db",
    "no scheme": "u:hunter2secret@127.0.0.1:5432/db",
    "another scheme": "mysql://u:hunter2secret@127.0.0.1:5432/db",
    "of another library": "postgresql+asyncpg://u:hunter2secret@127.0.0.1:5432/db",
    "a word": "hunter2secret",
    "key and value": "host=127.0.0.1 password=hunter2secret",
    "port is a word": "postgresql://u:hunter2secret@127.0.0.1:hunter2/db",
    "port is too large": "postgresql://u:hunter2secret@127.0.0.1:99999/db",
    "port is 0": "postgresql://u:hunter2secret@127.0.0.1:0/db",
    "port of the query is a word": "postgresql://u@127.0.0.1/db?password=hunter2secret&port=hunter2",
    "a query that is none": "postgresql://u@127.0.0.1/db?hunter2secret",
    "sslmode is unknown": "postgresql://u:hunter2secret@127.0.0.1:5432/db?sslmode=hunter2secret",
    "sslmode is a word": "postgresql://u:hunter2secret@127.0.0.1:5432/db?sslmode=of-course",
}


@pytest.mark.parametrize("dsn", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_address_that_cannot_be_read_is_one_line_without_any_part_of_the_password(dsn: str) -> None:
    for use in (preflight.check, migrate.pending, connect, lambda dsn: Pool(dsn, 1, 1.0).fetchval("SELECT 1")):
        with pytest.raises(SettingError, match=r"^STATE_DB_URI cannot be used: [^\n]+$") as refused:
            await use(dsn)

        shown = "".join(traceback.format_exception(refused.value))
        said = shown.partition("SettingError: ")[2] + str(refused.value)
        assert not any(part in said for part in ("hunter2", "secret"))
        assert shown.count("Traceback (most recent call last)") == 1  # nothing of the driver's own error


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p%40ss%23w%2Frd@127.0.0.1:5432/db",
        "postgres://u@[::1]:5432/db?sslmode=require",
        "postgresql://argosy@/postgres?host=%2Ftmp%2Fx&port=5432",
        "postgresql://u:p@one:5432,two:5433/db?target_session_attrs=primary",
        "postgresql:///db",
        "postgresql://",
        "postgresql://u:p@db.internal/db?application_name=x&user=me@server",
    ],
)
def test_an_address_that_can_be_read_is_taken(dsn: str) -> None:
    check_dsn(dsn)


async def test_a_parameter_that_the_server_does_not_know_is_named(any_database: str) -> None:
    with pytest.raises(
        SettingError, match=r'^STATE_DB_URI: .*unrecognized configuration parameter "no_such_parameter"'
    ):
        await preflight.check(f"{any_database}&no_such_parameter=1")


async def test_a_server_that_is_not_there_is_unavailable_and_the_password_stays_out_of_it() -> None:
    for dsn in (
        f"postgresql://u:{PASSWORD}@127.0.0.1:1/db",
        f"postgresql://u:{PASSWORD}@no-such-host.invalid/db",
        f"postgresql://u:{PASSWORD}@/db?host=/nowhere",
    ):
        with pytest.raises(StoreUnavailableError) as refused:
            await preflight.check(dsn)

        assert PASSWORD not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "command", [["migrate"], ["gateway"], ["worker", "dispatch"], ["maintain"], ["topics"], ["up"]], ids=" ".join
)
def test_every_command_says_it_in_one_line(tmp_path: Path, command: list[str]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "STATE_DB_URI": UNREADABLE["/ in the password"],
        "ARGOSY_DATA_DIR": str(tmp_path / "data"),
        "PORT": "0",
    }

    ended = subprocess.run(
        [ARGOSY, *command], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    said = [line for line in ended.stderr.splitlines() if "STATE_DB_URI" in line]
    assert ended.returncode == 1
    assert len(said) == 1
    assert "Traceback" not in ended.stderr + ended.stdout
    assert not any(part in ended.stderr + ended.stdout for part in ("hunter2", "secret"))

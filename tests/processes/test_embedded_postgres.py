"""One server per folder, nothing committed is lost, and nothing is left behind."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from argosy.errors import SettingError
from argosy.local.postgres import EmbeddedPostgres
from argosy.local.postgres_programs import postgres_bin_dir
from argosy.store import preflight
from tests.conftest import find_postgres_15, need
from tests.harness.processes import free_port
from tests.processes.killing import Parent, python_for, started, survivors

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
STRANGER = 12_345  # a uid that nobody has


def ask(dsn: str, statement: str) -> Any:
    """Its value."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(fetch())


@pytest.fixture
def new_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Not started, and without a cluster."""
    postgres = EmbeddedPostgres(folder / "postgres")
    yield postgres
    postgres.stop()


@pytest.fixture
def made(folder: Path, make_cluster: Callable[[Path], None]) -> Path:
    """A folder with a cluster of an earlier start."""
    make_cluster(folder)
    return folder / "postgres"


@pytest.fixture
def server(made: Path) -> Iterator[EmbeddedPostgres]:
    """Not started since then."""
    postgres = EmbeddedPostgres(made)
    yield postgres
    postgres.stop()


def test_what_was_committed_is_there_after_an_orderly_stop(new_server: EmbeddedPostgres) -> None:
    new_server.start()
    ask(new_server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")

    new_server.stop()
    new_server.start()

    assert ask(new_server.dsn, "SELECT answer FROM kept") == 42
    assert ask(new_server.dsn, "SHOW fsync") == "on"
    assert asyncio.run(preflight.check(new_server.dsn)) == []
    assert (ask(new_server.dsn, "SHOW server_version")).startswith("18.")


def test_stop_and_start_may_be_repeated(server: EmbeddedPostgres) -> None:
    server.stop()
    server.start()
    server.stop()
    server.stop()

    assert server.poll() is None
    assert not (server.socket_dir / ".s.PGSQL.5432").exists()


def test_a_killed_parent_leaves_no_server_and_no_socket_and_the_next_start_finds_the_row(folder: Path) -> None:
    with started("postgres", folder) as parent:
        said = parent.wait_ready()
        ask(said["dsn"], "CREATE TABLE kept AS SELECT 42 AS answer")

        parent.kill()

        assert parent.survivors(within_s=10) == []
        assert not list(Path(said["socket"]).iterdir())
    with EmbeddedPostgres(folder) as again:
        assert ask(again.dsn, "SELECT answer FROM kept") == 42


def test_a_start_right_after_a_kill_waits_for_the_old_server_to_end(made: Path) -> None:
    with started("postgres", made) as parent:
        said = parent.wait_ready()
        ask(said["dsn"], "CREATE TABLE kept AS SELECT 42 AS answer")
        parent.kill()

        with EmbeddedPostgres(made) as again:
            assert ask(again.dsn, "SELECT answer FROM kept") == 42
            assert again.pid != said["server"]


def test_a_server_killed_with_all_its_processes_recovers_what_was_committed(made: Path) -> None:
    with started("postgres", made) as parent:
        said = parent.wait_ready()
        ask(said["dsn"], "CREATE TABLE kept AS SELECT 42 AS answer")

        for process in (parent.process, *parent.family):
            with contextlib.suppress(psutil.NoSuchProcess):  # its server, which was killed before it, has ended it
                process.kill()
        parent.process.wait(10)

        with EmbeddedPostgres(made) as again:
            assert ask(again.dsn, "SELECT answer FROM kept") == 42


def test_two_servers_on_one_folder_are_a_clear_error(server: EmbeddedPostgres) -> None:
    server.start()

    with pytest.raises(SettingError, match=rf"^another Argosy \(pid {os.getpid()}\) owns \S+: stop it first$"):
        EmbeddedPostgres(server.folder).start()

    assert server.poll() is None


def test_a_server_that_somebody_else_started_in_our_folder_is_left_alone(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    (server.folder / "lock").unlink()  # as if another machine's file system had no locks
    monkeypatch.setattr("argosy.local.postgres._PREDECESSOR_WITHIN_S", 0.2)

    with pytest.raises(SettingError, match=rf"another PostgreSQL \(pid {server.pid}\) runs in"):
        EmbeddedPostgres(server.folder).start()

    assert server.poll() is None


def test_a_pid_file_whose_pid_is_somebody_elses_now_is_no_server(server: EmbeddedPostgres) -> None:
    server.start()
    pid_file = server.folder / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    ours = psutil.Process()
    pid_file.write_text("\n".join([str(ours.pid), lines[1], str(int(ours.create_time()) - 3600), *lines[3:]]) + "\n")

    server.start()

    assert ask(server.dsn, "SELECT 1") == 1


@pytest.mark.parametrize("after_s", [0.2, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.05, 0.4))])
def test_a_start_that_is_killed_on_its_way_does_no_harm(folder: Path, after_s: float) -> None:
    parent = Parent("postgres", folder)
    ends = []
    try:
        while not (folder / "lock").exists():
            assert parent.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):  # any moment will do, and these are in or near initdb
            parent.process.wait(after_s)
        ends = psutil.Process(parent.process.pid).children(recursive=True)
    finally:
        parent.kill()
        parent.process.communicate()

    assert survivors(ends, within_s=10) == []
    with EmbeddedPostgres(folder) as again:
        assert ask(again.dsn, "SELECT 1") == 1
    assert list(folder.glob("data.new-*")) == []


def test_a_folder_deeper_than_a_socket_path_may_be_works(folder: Path) -> None:
    deep = folder / ("d" * 100)

    with EmbeddedPostgres(deep) as server, ExitStack() as after:
        after.callback(shutil.rmtree, server.socket_dir)
        assert not server.socket_dir.is_relative_to(deep)
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
        assert ask(server.dsn, "SELECT 1") == 1


def test_a_socket_folder_that_others_may_enter_is_refused(made: Path) -> None:
    server = EmbeddedPostgres(made)
    server.socket_dir.mkdir(mode=0o777)
    server.socket_dir.chmod(0o777)

    with pytest.raises(SettingError, match="is not ours alone"):
        server.start()


def test_a_tcp_port_asks_for_the_password(folder: Path) -> None:
    port = free_port()

    with EmbeddedPostgres(folder, tcp_port=port) as server:
        assert ask(server.tcp_dsn, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"postgresql://argosy:guess@127.0.0.1:{port}/postgres", "SELECT 1")
        assert (folder / "password").stat().st_mode & 0o777 == 0o600


def test_a_cluster_of_another_version_is_named(folder: Path) -> None:
    bin_dir = find_postgres_15()
    need(bin_dir, "PostgreSQL 15")
    with EmbeddedPostgres(folder, bin_dir=bin_dir):
        pass

    with pytest.raises(SettingError, match="was made by PostgreSQL 15 and this is PostgreSQL 18"):
        EmbeddedPostgres(folder).start()


@as_root
def test_root_runs_the_server_as_a_user_of_its_own(new_server: EmbeddedPostgres) -> None:
    new_server.start()

    uid = psutil.Process(new_server.pid).uids().real
    assert uid in range(60_706, 61_184)
    assert set(psutil.Process(new_server.pid).gids()) == {uid}
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    assert {path.lstat().st_uid for path in (new_server.folder / "data").rglob("*")} == {uid}
    assert (new_server.folder / "data").stat().st_mode & 0o777 == 0o700
    assert (new_server.folder / "pg_hba.conf").owner() == "root"


@as_root
def test_a_cluster_of_a_version_that_ran_as_nobody_is_taken_over_with_what_is_in_it(made: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with EmbeddedPostgres(made) as server:
        ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    for path in (server.socket_dir, made / "data", *(made / "data").rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)

    with EmbeddedPostgres(made) as again:
        assert ask(again.dsn, "SELECT answer FROM kept") == 42
        assert psutil.Process(again.pid).uids().real == (made / "data").stat().st_uid != nobody.pw_uid


@as_root
def test_a_file_that_is_linked_from_elsewhere_is_not_given_away(made: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(made / "data", nobody.pw_uid, nobody.pw_gid)
    of_root = made / "of root"
    of_root.write_text("secret")
    os.link(of_root, made / "data" / "mine")

    with pytest.raises(SettingError, match="mine is linked from elsewhere"):
        EmbeddedPostgres(made).start()

    assert of_root.owner() == "root"


def test_what_the_server_says_is_for_us_alone_also_after_an_older_version(made: Path) -> None:
    (made / "postgres.log").touch(mode=0o644)

    with EmbeddedPostgres(made) as server:
        assert server.log_path.stat().st_mode & 0o777 == 0o600
        assert server.log_path.read_text()


@as_root
def test_not_even_nobody_can_connect_to_roots_server(server: EmbeddedPostgres) -> None:
    server.start()
    psql = [str(postgres_bin_dir() / "psql"), server.dsn, "-c", "SELECT 1"]

    for uid in (STRANGER, 65_534):
        refused = subprocess.run(psql, user=uid, group=uid, extra_groups=[], capture_output=True, text=True, timeout=20)
        assert refused.returncode != 0
        assert "Permission denied" in refused.stderr or "authentication failed" in refused.stderr


@as_root
def test_a_folder_that_others_may_not_enter_is_named_with_the_remedy(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(SettingError, match=r"^ARGOSY_DATA_DIR: \S+ may not be entered by others than root.*chmod o\+x"):
        EmbeddedPostgres(closed / "postgres").start()


@as_root
def test_somebody_who_is_not_root_runs_it_as_himself(folder: Path) -> None:
    somebody = pwd.getpwnam("daemon").pw_uid
    python = python_for(somebody)
    need(python, "a Python that others than root may run")
    assert python is not None
    home = folder / "home"
    home.mkdir()
    os.chown(home, somebody, somebody)

    with started("postgres", home / "postgres", uid=somebody, python=python) as parent:
        said = parent.wait_ready()
        assert psutil.Process(said["server"]).uids().real == somebody

        parent.kill()

        assert parent.survivors(within_s=10) == []


@as_root
def test_a_user_without_a_name_is_told_what_to_do(folder: Path) -> None:
    python = python_for(STRANGER)
    need(python, "a Python that others than root may run")
    assert python is not None
    home = folder / "home"
    home.mkdir()
    os.chown(home, STRANGER, STRANGER)

    with (
        started("postgres", home / "postgres", uid=STRANGER, python=python) as parent,
        pytest.raises(AssertionError, match=f"SettingError: user id {STRANGER} has no name"),
    ):
        parent.wait_ready()


@as_root
def test_programs_are_copied_once_however_many_ask(tmp_path: Path) -> None:
    module = "argosy.local.postgres_programs"
    code = f"import sys, pathlib, {module} as it; print(it.postgres_bin_dir(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    asked = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {one.communicate(timeout=60)[0].strip() for one in asked}

    (bin_dir,) = answers
    shown = subprocess.run([f"{bin_dir}/postgres", "-V"], capture_output=True, text=True, check=True)

    assert shown.stdout.startswith("postgres (PostgreSQL) 18.")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "lock") == [Path(bin_dir).parents[2].name]

"""A real PostgreSQL server that Argosy runs as its own child: it needs no installation, no service and no root, and it
ends when Argosy ends.

Layout of its folder (only `data` and `run` belong to the account that PostgreSQL runs as):
    lock            held by the process that owns the folder, for as long as it lives
    pg_hba.conf     who may connect: this user, by the socket's peer credentials
    data/           the cluster, 0700; created under another name and renamed, so it is never half made
    run/            the socket, 0700 (in the machine's temporary folder when this path is too long for a socket)
    postgres.log    the server's log, 0600
"""

import contextlib
import fcntl
import os
import signal
import threading
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import psutil

from argosy.clock import SystemClock
from argosy.errors import SettingError, UnavailableError
from argosy.local import postgres_cluster as cluster
from argosy.local.child import Child
from argosy.local.postgres_programs import postgres_bin_dir
from argosy.local.sockets import short_folder
from argosy.process import fork

_PORT_OF_SOCKET: Final = 5432  # without TCP it is a part of the socket's name only
_READY_WITHIN_S: Final = 60.0  # a crash recovery replays up to max_wal_size
_PREDECESSOR_WITHIN_S: Final = 15.0  # a server whose Argosy was killed needs a moment to end
_STOP_GRACE_S: Final = 30.0  # a fast shutdown (SIGINT) writes a checkpoint

_SERVER_SETTINGS: Final = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Rows of queues live for seconds, so autovacuum must look often. By default it waits for a fifth of a table to be
    # dead.
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_delay": "1ms",
    "log_checkpoints": "off",
    "logging_collector": "off",
}


class EmbeddedPostgres:
    """A PostgreSQL server over one folder.

    Promises: at most one server runs over a folder; however the last server ended, the next one has everything that was
    committed; under root, the server runs as a user id of its own; only this user can connect, by a Unix socket (and,
    with tcp_port, over 127.0.0.1 with a password). start and stop block, for a bounded time.

    tcp_port: for tests with clients of another account (a pooler, a role of its own). Addresses are options of the
    command that starts the server, so nothing can add one afterwards.
    """

    def __init__(self, folder: Path, *, bin_dir: Path | None = None, tcp_port: int | None = None) -> None:
        self.folder = folder.absolute()
        self.log_path = self.folder / "postgres.log"
        self._given_bin_dir = bin_dir
        self._tcp_port = tcp_port
        self._data = self.folder / "data"
        self._password_file = self.folder / "password"
        self._account = cluster.unprivileged_account()
        self._lock: IO[str] | None = None
        self._child: Child | None = None

    def start(self) -> None:
        """Start the server, and return when it accepts connections.

        Raises SettingError (another process owns the folder, or the folder cannot be used), UnavailableError (the
        server does not start; the message holds the end of its log).
        """
        cluster.make_reachable(self.folder, self._account)
        self._take_lock()
        try:
            self._wait_for_predecessor()
            bin_dir = self._given_bin_dir or postgres_bin_dir()
            cluster.write_access_rules(self.folder)
            if not self._data.exists():
                cluster.create_cluster(self._data, bin_dir, self._account, self.log_path, self._password_file)
            cluster.check_version(self._data, bin_dir)
            cluster.adopt(self._data, self._account)
            cluster.make_socket_dir(self.socket_dir, self._account)
            self._start_server(bin_dir)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server: it ends its sessions, and everything committed is on disk. Safe to repeat."""
        if self._child is not None:
            self._child.stop(_STOP_GRACE_S + 5)
            self._child = None
        if self._lock is not None:
            fork.disown_fd(self._lock.fileno())
            self._lock.close()
            self._lock = None

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """The address for asyncpg and libpq, by the Unix socket; only this user's processes can use it."""
        return f"postgresql://argosy@/postgres?host={quote(str(self.socket_dir), safe='')}&port={self._port}"

    @property
    def tcp_dsn(self) -> str:
        """The address over 127.0.0.1, with its password. Raises SettingError without tcp_port."""
        if self._tcp_port is None:
            raise SettingError("this embedded PostgreSQL was given no TCP port")
        return f"postgresql://argosy:{self._password_file.read_text().strip()}@127.0.0.1:{self._tcp_port}/postgres"

    @property
    def socket_dir(self) -> Path:
        return short_folder(self.folder / "run", ".s.PGSQL.65535", self.folder, "argosy")

    @property
    def pid(self) -> int:
        """The pid of the server. Raises UnavailableError when it does not run."""
        if self._child is None:
            raise UnavailableError("the embedded PostgreSQL is not running")
        return self._child.program_pid

    def poll(self) -> int | None:
        """Return the server's exit code when it has ended by itself; None while it runs, and before start."""
        return self._child.poll() if self._child else None

    @property
    def _port(self) -> int:
        return self._tcp_port or _PORT_OF_SOCKET

    def _take_lock(self) -> None:
        lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise SettingError(f"another Argosy (pid {owner}) owns {self.folder}: stop it first") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        fork.own_fd(lock.fileno())
        self._lock = lock

    def _wait_for_predecessor(self) -> None:
        """Wait until the server of an Argosy that was killed has ended, then remove the pid files that it left. Raises
        SettingError when it still runs after _PREDECESSOR_WITHIN_S.
        """
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + _PREDECESSOR_WITHIN_S
        while (server := cluster.live_server(self._data)) is not None:
            if clock.monotonic_s() > deadline_s:
                raise SettingError(f"another PostgreSQL (pid {server.pid}) runs in {self._data}: stop it first")
            with contextlib.suppress(psutil.TimeoutExpired):
                server.wait(0.1)
        # PostgreSQL refuses to start when the pid in one of these files belongs to any process, even an unrelated one
        # or a zombie. Without the files it still refuses while backends of the last server use its shared memory.
        lock_of_socket = self.socket_dir / f".s.PGSQL.{self._port}.lock"
        for stale in (self._data / "postmaster.pid", lock_of_socket):
            stale.unlink(missing_ok=True)

    def _start_server(self, bin_dir: Path) -> None:
        settings = {
            **_SERVER_SETTINGS,
            "listen_addresses": "127.0.0.1" if self._tcp_port is not None else "",
            "port": str(self._port),
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "hba_file": str(self.folder / "pg_hba.conf"),
            "ident_file": str(self.folder / "pg_ident.conf"),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(bin_dir / "postgres"), "-D", str(self._data), *options]
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + _PREDECESSOR_WITHIN_S
        while True:
            # SIGINT is PostgreSQL's fast shutdown: it ends sessions, and nothing committed is lost.
            self._child = cluster.run_as(
                "postgres", command, self._account, self.log_path, signal.SIGINT, _STOP_GRACE_S
            )
            try:
                self._child.wait_until(self._is_ready, _READY_WITHIN_S)
                return
            except UnavailableError as error:
                # After a kill -9 of the last server, its backends take a moment to notice that and end.
                if "is still in use" not in str(error) or clock.monotonic_s() > deadline_s:
                    raise
                threading.Event().wait(0.2)

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

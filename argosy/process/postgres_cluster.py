"""The folder of an embedded PostgreSQL: who runs it, who may connect, whether a server lives in it."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

import psutil

from argosy.errors import SettingError, UnavailableError
from argosy.process.child import Account, Child

_INITDB_WITHIN_S: Final = 120.0
_START_TIME_TOLERANCE_S: Final = 15.0
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}


def unprivileged_account() -> Account | None:
    """Whom PostgreSQL, which refuses root, runs as: `nobody` when we are root, else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def make_reachable(folder: Path, account: Account | None) -> None:
    """Create folder and what is missing above it, so that the account can enter. Raises SettingError when it cannot."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o755 if account else 0o700)
    for path in (folder, *folder.parents) if account else ():
        if not path.stat().st_mode & 0o001:
            raise SettingError(
                f"ARGOSY_DATA_DIR: {path} may not be entered by `nobody`, as whom PostgreSQL runs when root starts it; "
                f"choose another folder, or chmod o+x {path}"
            )


def give(path: Path, account: Account | None) -> None:
    """Make path the account's. None: it is ours and stays so."""
    if account is not None:
        os.chown(path, *account, follow_symlinks=False)


def run_as(
    name: str, command: list[str], account: Account | None, log_path: Path, stop_signal: signal.Signals, grace_s: float
) -> Child:
    """One of PostgreSQL's programs, as its account, with nothing of our environment."""
    return Child.start_guarded(
        name,
        command,
        stop_signal=stop_signal,
        grace_s=grace_s,
        account=account,
        environment=_ENVIRONMENT,
        log_path=log_path,
    )


def create_cluster(data: Path, bin_dir: Path, account: Account | None, log_path: Path, password_file: Path) -> None:
    """initdb beside its place, then one rename: a cluster cut short is never taken for one. Raises UnavailableError."""
    for left in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left)
    work = data.with_name(f"{data.name}.new-{secrets.token_hex(4)}")
    work.mkdir(mode=0o700)
    give(work, account)
    password_file.unlink(missing_ok=True)
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    give(password_file, account)
    options = ["-E", "UTF8", "--locale=C", "-k", "-U", "argosy", "-A", "scram-sha-256"]
    command = [str(bin_dir / "initdb"), "-D", str(work), *options, "--pwfile", str(password_file)]
    child = run_as("initdb", command, account, log_path, stop_signal=signal.SIGTERM, grace_s=5)
    try:
        code = child.wait(_INITDB_WITHIN_S)
    finally:
        child.stop(within_s=10)
    if code != 0:
        raise UnavailableError(f"initdb did not come to its end (exit code {code}){child.log_tail()}")
    os.chown(password_file, os.geteuid(), os.getegid())
    work.rename(data)
    parent_fd = os.open(data.parent, os.O_RDONLY)
    with contextlib.suppress(OSError):
        os.fsync(parent_fd)
    os.close(parent_fd)


def check_version(data: Path, bin_dir: Path) -> None:
    """Raises SettingError when another major version made this cluster."""
    have = (data / "PG_VERSION").read_text().strip()
    shown = subprocess.run([str(bin_dir / "postgres"), "-V"], capture_output=True, text=True, timeout=30, check=True)
    want = shown.stdout.split()[2].split(".")[0]
    if have != want:
        raise SettingError(f"{data} was made by PostgreSQL {have} and this is PostgreSQL {want}: dump and restore it")


def write_access_rules(folder: Path) -> None:
    """pg_hba.conf and pg_ident.conf: the socket for our own user, 127.0.0.1 with a password.

    They lie in our folder and not in the cluster: as root we write nothing where the account may put links.
    Raises SettingError for a user without a name, as containers have them.
    """
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise SettingError(
            f"user id {os.geteuid()} has no name on this machine, and PostgreSQL's initdb and peer authentication need "
            "one: add it to /etc/passwd, or set STATE_DB_URI"
        ) from None
    identities = f'argosy "{user}" argosy\n'
    rules = "local all all peer map=argosy\nhost all all 127.0.0.1/32 scram-sha-256\n"
    for name, content in (("pg_hba.conf", rules), ("pg_ident.conf", identities)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o644)


def make_socket_dir(folder: Path, account: Account | None) -> None:
    """0700 and the account's. Raises SettingError: one that a stranger put there would hand him our connections."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        give(folder, account)
    status = folder.lstat()
    owner = account.uid if account else os.geteuid()
    if folder.is_symlink() or status.st_uid != owner or status.st_mode & 0o077:
        raise SettingError(f"{folder}, the folder for PostgreSQL's socket, is not ours alone: remove it")


def live_server(data: Path) -> psutil.Process | None:
    """The server that runs in this cluster, by its pid file: a pid alone proves nothing, it may be somebody else's now.

    It is the server when it started at the time that the file says, or when the file's socket answers (clocks step).
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid, started_s, port, socket_dir = int(lines[0]), float(lines[2]), lines[3], lines[4]
        process = psutil.Process(pid)
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        is_same = abs(process.create_time() - started_s) <= _START_TIME_TOLERANCE_S
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    if is_zombie or not (is_same or _answers(f"{socket_dir}/.s.PGSQL.{port}")):
        return None
    return process


def _answers(socket_path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(socket_path)
        except OSError:
            return False
    return True

"""The folder of an embedded PostgreSQL: which account runs it, who may connect, and whether a server runs in it."""

import contextlib
import grp
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Final

import psutil

from argosy.errors import SettingError, UnavailableError
from argosy.local.child import Account, Child

_INITDB_WITHIN_S: Final = 120.0  # a second or two, and more on a slow disk: it writes a thousand files
_START_TIME_TOLERANCE_S: Final = 15.0  # the server notes its time a moment after its start, in whole seconds
_ACCOUNT_NAME: Final = "argosy-postgres"
# User ids that neither distributions nor systemd assign (systemd.io/UIDS-GIDS), and that exist in containers, too.
_OWN_NUMBERS: Final = range(60_706, 61_184)
_NAMED: Final = "nobody"
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}


def unprivileged_account() -> Account | None:
    """Return the account to run PostgreSQL as, because PostgreSQL refuses to run as root; None when this user is not
    root and runs it itself. Raises SettingError when no user id is free.

    The account is shared with no daemon of this machine: it is the user `argosy-postgres` if there is one, else a user
    id without a name that no system assigns.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam(_ACCOUNT_NAME)
        return Account(entry.pw_uid, entry.pw_gid)
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    free = next((number for number in _OWN_NUMBERS if number not in taken and not _has_name(number)), None)
    if free is None:
        raise SettingError(f"no user id is free for PostgreSQL: make a user {_ACCOUNT_NAME}")
    return Account(free, free)


def _has_name(uid: int) -> bool:
    """Whether a user id has a name, also in a user directory (such as LDAP) that does not list its users."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _account_of_initdb(account: Account | None) -> Account | None:
    """Return the account that runs initdb, which needs a user with a name: `nobody` if the account has none, but in the
    account's own group, so that other processes of `nobody` cannot reach the files.
    """
    if account is None or _has_name(account.uid):
        return account
    return Account(pwd.getpwnam(_NAMED).pw_uid, account.gid)


def make_reachable(folder: Path, account: Account | None) -> None:
    """Create folder, and the missing folders above it, so that the account can enter. Raises SettingError when the
    account cannot enter a folder that exists.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o755 if account else 0o700)
    for path in (folder, *folder.parents) if account else ():
        if not path.stat().st_mode & 0o001:
            raise SettingError(
                f"ARGOSY_DATA_DIR: {path} may not be entered by others than root, and PostgreSQL, when root starts it, "
                f"runs as another user: choose another folder, or chmod o+x {path}"
            )


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of path; with None nothing changes. Raises SettingError when that is not possible, as
    in a container without this user id.
    """
    if account is None:
        return
    try:
        os.chown(path, *account, follow_symlinks=False)
    except OSError as error:
        raise SettingError(
            f"{path} cannot be given to user id {account.uid}, as whom PostgreSQL runs when root starts it "
            f"({error.strerror}): make a user {_ACCOUNT_NAME}, or set STATE_DB_URI"
        ) from error


def adopt(data: Path, account: Account | None) -> None:
    """Make the account the owner of a whole cluster that belonged to another account, and in which no server runs. The
    folder itself comes last, so that after an interruption the next call does all of it again. Raises SettingError for
    a file that has a second hard link, because it may belong elsewhere.
    """
    if account is None or data.stat().st_uid == account.uid:
        return
    for _, folders, files, fd in os.fwalk(data):
        for name in (*folders, *files):
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
                raise SettingError(f"{data}: {name} is linked from elsewhere, and is not given away")
            os.chown(name, *account, dir_fd=fd, follow_symlinks=False)
    give(data, account)


def run_as(
    name: str, command: list[str], account: Account | None, log_path: Path, stop_signal: signal.Signals, grace_s: float
) -> Child:
    """Start one of PostgreSQL's programs as the account, with nothing of this process's environment."""
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
    """Create a cluster with initdb under another name, then rename it: an unfinished cluster is never taken for a whole
    one. Raises UnavailableError when initdb fails.
    """
    for left in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left)
    shelter = data.with_name(f"{data.name}.new-{secrets.token_hex(4)}")
    shelter.mkdir(mode=0o700)
    shelter.chmod(0o710)  # mkdir's mode is cut by the umask; the group, which may enter, is the account's
    maker = _account_of_initdb(account)
    work, password = shelter / "data", shelter / "password"
    work.mkdir(mode=0o700)
    with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    give(work, maker)
    give(password, maker)
    give(shelter, Account(0, account.gid) if account else None)
    options = ["-E", "UTF8", "--locale=C", "-k", "-U", "argosy", "-A", "scram-sha-256"]
    command = [str(bin_dir / "initdb"), "-D", str(work), *options, "--pwfile", str(password)]
    child = run_as("initdb", command, maker, log_path, stop_signal=signal.SIGTERM, grace_s=5)
    try:
        code = child.wait(_INITDB_WITHIN_S)
    finally:
        child.stop(within_s=10)
    if code != 0:
        raise UnavailableError(f"initdb failed or did not finish (exit code {code}){child.log_tail()}")
    os.chown(password, os.geteuid(), os.getegid())
    password.rename(password_file)
    adopt(work, account)
    work.rename(data)
    shelter.rmdir()
    parent_fd = os.open(data.parent, os.O_RDONLY)
    with contextlib.suppress(OSError):
        os.fsync(parent_fd)
    os.close(parent_fd)


def check_version(data: Path, bin_dir: Path) -> None:
    """Check that this major version of PostgreSQL made the cluster. Raises SettingError when another one did."""
    have = (data / "PG_VERSION").read_text().strip()
    shown = subprocess.run([str(bin_dir / "postgres"), "-V"], capture_output=True, text=True, timeout=30, check=True)
    want = shown.stdout.split()[2].split(".")[0]
    if have != want:
        raise SettingError(f"{data} was made by PostgreSQL {have} and this is PostgreSQL {want}: dump and restore it")


def write_access_rules(folder: Path) -> None:
    """Write pg_hba.conf and pg_ident.conf: this user may connect by the socket, and over 127.0.0.1 with a password.

    The files are in Argosy's folder, not in the cluster: root must not write where the account may put links. Raises
    SettingError for a user without a name, as in some containers.
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
    """Make the folder for the socket, with mode 0700, for the account. Raises SettingError when the folder exists and
    is not the account's alone: another user could have made it to intercept Argosy's connections.
    """
    if account and folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == pwd.getpwnam(_NAMED).pw_uid:
        shutil.rmtree(folder)  # an older version ran PostgreSQL as this user
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        give(folder, account)
    status = folder.lstat()
    owner = account.uid if account else os.geteuid()
    if folder.is_symlink() or status.st_uid != owner or status.st_mode & 0o077:
        raise SettingError(f"{folder}, the folder for PostgreSQL's socket, is not ours alone: remove it")


def live_server(data: Path) -> psutil.Process | None:
    """Return the server that runs in this cluster, or None. Its pid file alone proves nothing: by now the pid may
    belong to another process.

    The process with that pid is the server if it started at the time in the file, or if the socket that the file names
    answers (the times differ when the clock was set).
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

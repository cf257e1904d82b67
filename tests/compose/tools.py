"""What the suite needs of others: a Docker engine with Compose, and what builds images. It is kept by version; nothing
of the machine's own is replaced or configured.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from argosy import config
from tests.harness.go_tools import NoToolError, built

# The engine comes as packages that are unpacked, not installed: no service starts, no client of the machine changes.
_ENGINE: Final = ("docker.io", "containerd", "tini")
_PROGRAMS: Final = ("podman", "runc", "mmdebstrap", "unshare", "ip", "iptables", "apt-get", "dpkg")
# podman's defaults ask for more than a container of CI may have (CAP_SYS_RESOURCE, systemd, an own network).
_CONTAINERS_CONF: Final = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=16384:16384"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Tools(NamedTuple):
    """engine: the folder with the engine's programs. compose: Docker Compose. podman: the environment that it needs."""

    engine: Path
    compose: Path
    podman: dict[str, str]

    @property
    def path(self) -> str:
        """A PATH with the engine's own programs first."""
        return f"{self.engine}/usr/sbin:{self.engine}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def cache(name: str) -> Path:
    """Where something is kept from one run to the next."""
    return config.default_data_dir() / "cache" / name


def once(path: Path, make: Callable[[Path], None]) -> Path:
    """Return path, which is made unless it is there: half made it never has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.unlink(missing_ok=True)
            make(unfinished)
            unfinished.rename(path)
    return path


def run(command: list[str], **environ: str) -> str:
    """Run a program; its output. Raises NoToolError with the end of what it said when it fails."""
    try:
        done = subprocess.run(
            command, env={**os.environ, **environ}, check=False, capture_output=True, text=True, timeout=3_600
        )
    except OSError as error:
        raise NoToolError(f"{command[0]} does not run: {error}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2_000:]
        raise NoToolError(f"`{' '.join(command)}` ended with {done.returncode}:\n{said}")
    return done.stdout


def tools() -> Tools:
    """Return what is needed, fetched and built at its first use. Raises NoToolError, which says what is missing."""
    if os.geteuid() != 0:
        raise NoToolError("an engine needs root")
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise NoToolError(
            f"not installed: {', '.join(missing)} (Debian: podman runc mmdebstrap util-linux iproute2 iptables)"
        )
    run(["unshare", "--net", "true"])
    return Tools(_engine(), built("compose", "github.com/docker/compose/v2/cmd"), _podman())


def _engine() -> Path:
    def unpack(folder: Path) -> None:
        folder.mkdir()
        debs = folder / "debs"
        debs.mkdir()
        run(["sh", "-c", f"cd {debs} && apt-get download -qq {' '.join(_ENGINE)}"])
        for deb in debs.iterdir():
            run(["dpkg", "-x", str(deb), str(folder)])
        shutil.rmtree(debs)

    shown = run(["apt-cache", "show", "--no-all-versions", _ENGINE[0]])
    (version,) = (line.split()[1] for line in shown.splitlines() if line.startswith("Version:"))
    return once(cache(f"docker-engine-{version}"), unpack)


def _podman() -> dict[str, str]:
    folder = cache("compose-images")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "containers.conf").write_text(_CONTAINERS_CONF)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }

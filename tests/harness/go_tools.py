"""Programs that are built from pinned sources with Go, once: tools/NAME/go.mod says what and of which version."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from argosy import config

TOOLS: Final = Path(__file__).parents[2] / "tools"
_BUILD_S_MAX: Final = 3_600


class NoToolError(Exception):
    """A program cannot be had here, and why."""


def built_already(tool: str, package: str) -> Path | None:
    """Return the program that is built of a package of a tool's module, or None when it has to be built first."""
    path = _path_of(tool, package)
    return path if path.exists() else None


def built(tool: str, package: str, *, flags: str = "-s -w") -> Path:
    """Return the program of a package of a tool's module, which is built unless it is in the cache. Raises NoToolError.

    Any number of processes may call this at once: one builds, the others wait for it.
    """
    path = _path_of(tool, package)
    if path.exists():
        return path
    go = shutil.which("go")
    if go is None:
        raise NoToolError(f"{path.name} is built with Go, and there is none here")
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "building").open("a") as building:
        fcntl.flock(building, fcntl.LOCK_EX)
        if not path.exists():
            _build(go, TOOLS / tool, package, flags, path)
    return path


def _build(go: str, module: Path, package: str, flags: str, path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    # -p=1: what is tested beside it has a core for itself.
    command = [go, "build", "-p=1", "-trimpath", "-ldflags", flags, "-o", str(unfinished), package]
    environ = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    try:
        subprocess.run(
            command, cwd=module, env=environ, check=True, capture_output=True, text=True, timeout=_BUILD_S_MAX
        )
    except subprocess.CalledProcessError as error:
        raise NoToolError(f"{path.name} cannot be built: {error.stderr.strip()[-500:]}") from error
    except subprocess.TimeoutExpired as error:
        raise NoToolError(f"{path.name} was not built within {_BUILD_S_MAX} s") from error
    unfinished.rename(path)


def _path_of(tool: str, package: str) -> Path:
    """Where a program is kept: in a folder whose name changes with the versions of its sources."""
    pinned = (TOOLS / tool / "go.mod").read_bytes() + (TOOLS / tool / "go.sum").read_bytes()
    folder = config.default_data_dir() / "cache" / f"{tool}-{hashlib.sha256(pinned).hexdigest()[:12]}"
    names = [part for part in package.split("/") if not (part.startswith("v") and part[1:].isdecimal())]
    return folder / names[-1]

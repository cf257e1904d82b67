"""Secrets in files: NAME_FILE in place of NAME, for every setting that is a secret.

A file is read once, when the process starts. It holds the secret, and at most line ends after it. No message shows the
file's content.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from argosy.errors import SettingError

SUFFIX: Final = "_FILE"
_SIZE_BYTES_MAX: Final = 65_536  # a file that is named by mistake is not read whole


class InFile(NamedTuple):
    """A secret in a file. name: the setting with the file's path, NAME_FILE; source: where that is set."""

    name: str
    source: str
    path: Any


def read_secret(where: InFile) -> str:
    """Read the secret. Raises SettingError with one line that names the setting and the file."""
    named = f"{where.name}={where.path} (in {where.source})"
    if not isinstance(where.path, str):
        raise SettingError(f"{named}: must be the path of a file")
    path = Path(where.path)
    try:
        if not path.is_file():
            raise SettingError(f"{named}: {'is no regular file' if path.exists() else 'there is no such file'}")
        with path.open("rb") as file:
            content = file.read(_SIZE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise SettingError(f"{named}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > _SIZE_BYTES_MAX:
        raise SettingError(f"{named}: is larger than {_SIZE_BYTES_MAX} bytes, which no secret is")
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingError(f"{named}: is not UTF-8") from None
    if not secret.strip():
        raise SettingError(f"{named}: the file is empty")
    if not secret.isprintable():
        raise SettingError(f"{named}: holds more than one line, or characters that cannot be printed")
    return secret

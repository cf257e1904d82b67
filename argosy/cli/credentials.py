"""The tokens that `argosy login` stored, one for each address, in credentials.json beside config.json; and which token
a command sends.

The file is this user's alone (0600): one that others can read is refused, and so is not used by mistake. The token of
the setting ARGOSY_TOKEN, or KG_AUTH_TOKEN, comes before it. No command takes a token as an option: everybody on a
machine sees the command lines of its processes.
"""

import json
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from argosy import config
from argosy.client import Client
from argosy.config.sources import config_dir
from argosy.errors import SettingError

_FILE_NAME: Final = "credentials.json"
_SIZE_BYTES_MAX: Final = 1_048_576
_SETTINGS: Final = frozenset({"argosy_token", "kg_auth_token", "argosy_token_allow_http"})
_PORTS: Final = {"http": 80, "https": 443}


class Credentials:
    """The stored tokens. folder: where config.json is. Its methods raise SettingError when the file cannot be used."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        if self._folder is None:
            raise SettingError("this user has no home to keep a token in: use ARGOSY_TOKEN_FILE")
        return self._folder / _FILE_NAME

    def token(self, url: str) -> str:
        """Return the token for an address; empty when there is none."""
        return "" if self._folder is None else self._read().get(address_of(url), "")

    def tokens(self) -> list[str]:
        """Return all stored tokens."""
        return [] if self._folder is None else list(self._read().values())

    def store(self, url: str, token: str) -> None:
        self._write(self._read() | {address_of(url): token})

    def forget(self, url: str) -> bool:
        """Forget the token for an address. Whether there was one."""
        kept = self._read()
        if kept.pop(address_of(url), None) is None:
            return False
        self._write(kept)
        return True

    def _read(self) -> dict[str, str]:
        try:
            with self.path.open("rb") as file:
                facts = os.fstat(file.fileno())
                if os.name == "posix" and (facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO)):
                    raise SettingError(f"{self.path}: others can read it: `chmod 600` it, and rotate its tokens")
                content = file.read(_SIZE_BYTES_MAX + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingError(f"{self.path}: cannot be read: {error.strerror}") from error
        try:
            if len(content) > _SIZE_BYTES_MAX:
                raise ValueError
            tokens: dict[str, Any] = json.loads(content)["tokens"]
            return {str(url): str(token) for url, token in tokens.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SettingError(f"{self.path}: is not what `argosy login` writes: delete it, and log in again") from None

    def _write(self, tokens: dict[str, str]) -> None:
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{_FILE_NAME}-")  # mkstemp makes it 0600
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump({"tokens": tokens}, file, indent=2)
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise SettingError(f"{path}: cannot be written: {error.strerror}") from error


def address_of(url: str) -> str:
    """Return an address as it is compared: without what may be left out of it."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        return url
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise SettingError(f"{url!r} is no address of a gateway: {error}") from error
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


def stored() -> Credentials:
    """Return this user's stored tokens."""
    return Credentials(config_dir())


def open_client(*urls: str, retry_s: float, headers: dict[str, str] | None = None) -> Client:
    """Return a client of these gateways that sends the token of this command, if there is one. Raises SettingError when
    several are named, and not the same one is stored for each.
    """
    settings = config.load(used=_SETTINGS)
    token = settings.argosy_token.strip() or settings.kg_auth_token.strip() or _stored_for(urls)
    return Client(
        *urls, token=token or None, allow_http=settings.argosy_token_allow_http, retry_s=retry_s, headers=headers
    )


def _stored_for(urls: Sequence[str]) -> str:
    credentials = stored()
    tokens = {credentials.token(url) for url in urls}
    if len(tokens) > 1:
        raise SettingError(
            f"for {', '.join(urls)} not the same token is stored, and what is one gateway's is not told another: "
            "`argosy login` at each of them, or set ARGOSY_TOKEN"
        )
    return tokens.pop() if tokens else ""

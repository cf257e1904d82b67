"""The secret that all processes of a fleet share, and the keys that are made of it: one for each purpose.

Nothing is keyed by the secret itself. A key tells nothing of another key, and nothing of the secret as long as that
cannot be guessed: so it has 32 characters at the least. What is not in these keys (a record in the log, an event's id)
is not signed.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from argosy.errors import SettingError

SECRET_FILE_NAME: Final = "signing-secret"  # noqa: S105 (a file name)
SECRET_LENGTH_MIN: Final = 32
_SALT: Final = b"argosy"


class Keys(NamedTuple):
    """calls: of calls between our processes (signing.py); cursors: of the gateway's pages (gateway/cursor.py);
    places: of turns in the ids of a session's events (gateway/watch/places.py).
    """

    calls: bytes
    cursors: bytes
    places: bytes


def load_keys(configured: str, data_dir: Path) -> Keys:
    """The keys of the configured secret, or of the data folder's, which is minted there (0600) on first use.

    Any number of processes may call this at once for one folder: they all get the same keys. Raises SettingError.
    """
    return keys_of(load_secret(configured, data_dir))


def load_secret(configured: str, data_dir: Path) -> bytes:
    """The shared secret, without blanks around it: somebody's `echo` puts a line's end there. As load_keys."""
    if configured := configured.strip():
        if len(configured) < SECRET_LENGTH_MIN:
            raise SettingError(f"GRAPH_SERVICE_AUTH_SECRET has less than {SECRET_LENGTH_MIN} characters")
        return configured.encode()
    path = data_dir / SECRET_FILE_NAME
    try:
        if not path.exists():
            _mint_secret(path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingError(
            f"the shared secret {path} cannot be read or made: {error.strerror}: set "
            "GRAPH_SERVICE_AUTH_SECRET, or ARGOSY_DATA_DIR to a folder that can be written"
        ) from error
    if len(secret) < SECRET_LENGTH_MIN:
        raise SettingError(f"the shared secret {path} is shorter than 32 bytes: delete it, and a new one is made")
    return secret


def keys_of(secret: bytes) -> Keys:
    """Made anew they are the same. Another label makes another key: a new scheme has a new label."""
    return Keys(
        calls=hkdf(secret, _SALT, b"calls v2"),
        cursors=hkdf(secret, _SALT, b"cursors v2"),
        places=hkdf(secret, _SALT, b"places v1"),
    )


def hkdf(secret: bytes, salt: bytes, label: bytes) -> bytes:
    """32 bytes, by HKDF-SHA256 (RFC 5869): extract, then the first block of expand."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(extracted, label + b"\x01", hashlib.sha256)


def _mint_secret(path: Path) -> None:
    """A link either makes the name or finds it taken: nobody ever reads half a secret, and the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{SECRET_FILE_NAME}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()

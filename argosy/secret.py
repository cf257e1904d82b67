"""The secret that all processes of a fleet share, and the keys derived from it, one for each purpose.

Nothing is keyed by the secret itself. A key reveals nothing about another key. It reveals nothing about the secret
either, unless the secret can be guessed; so the secret has at least 32 characters. Ids of a turn's events are not
signed.
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
SECRET_LENGTH_MIN: Final = 32  # 128 bits even if it is written in hexadecimal
_SALT: Final = b"argosy"


class Keys(NamedTuple):
    """The keys of a fleet. calls: signs calls between its processes (rpc/signing.py); cursors: for cursors of the
    gateway's pages (gateway/page_cursor.py); places: for the turns' places in ids of a session's events
    (gateway/stream/place_cipher.py); shards: signs calls to shards (rpc/call_signing.py); records: signs records in the
    log (record_mac.py); logins: proves which browser began a sign-in (gateway/oidc_login.py). previous: the keys of the
    secret before this one, which prove what was made with them, and with which nothing is made.
    """

    calls: bytes
    cursors: bytes
    places: bytes
    shards: bytes
    records: bytes
    logins: bytes
    previous: "Keys | None" = None


def load_keys(configured: str, data_dir: Path, previous: str = "") -> Keys:
    """Return the keys of the configured secret, or, when none is configured, of the secret in the data folder. A secret
    that is not there is made, with mode 0600. previous: the secret before it, if there is one.

    Any number of processes may call this at once for one folder: they all get the same keys. Raises SettingError when
    the secret is too short, or cannot be read or made.
    """
    keys = keys_of(load_secret(configured, data_dir))
    return keys._replace(previous=keys_of(previous.strip().encode())) if previous.strip() else keys


def load_secret(configured: str, data_dir: Path) -> bytes:
    """Return the secret of which `load_keys` makes keys, without white space around it, such as the line end that
    `echo` adds. Raises SettingError as `load_keys` does.
    """
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
    """Return the keys of a secret, always the same. A new scheme gets a new label, and so another key."""
    return Keys(
        calls=hkdf(secret, _SALT, b"calls v2"),
        cursors=hkdf(secret, _SALT, b"cursors v2"),
        places=hkdf(secret, _SALT, b"places v1"),
        shards=hkdf(secret, _SALT, b"shards v1"),
        records=hkdf(secret, _SALT, b"records v1"),
        logins=hkdf(secret, _SALT, b"logins v1"),
    )


def hkdf(secret: bytes, salt: bytes, label: bytes) -> bytes:
    """Return 32 bytes by HKDF-SHA256 (RFC 5869): extract, then the first block of expand."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(extracted, label + b"\x01", hashlib.sha256)


def _mint_secret(path: Path) -> None:
    """Write a new secret to a draft and link it to its name. The link fails when the name is taken, so no process ever
    reads half a secret, and the first secret stays.
    """
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

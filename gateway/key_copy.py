"""The last good key set of an issuer, in the data folder: a gateway that starts while the issuer is away takes it."""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from argosy.clock import Clock
from argosy.identity.signing_keys import SIZE_BYTES_MAX, SigningKey, keys_in


class Kept(NamedTuple):
    """A set that was kept. age_s: since the issuer said it, by this machine's clock."""

    keys: tuple[SigningKey, ...]
    raw: bytes
    age_s: float


class KeyCopy:
    """The copy for one issuer. Public keys are no secret, but whoever could write the file could sign tokens: its mode
    is 0600, and another one is not read.
    """

    def __init__(self, folder: Path, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._path = folder / f"issuer-keys-{hashlib.sha256(issuer.encode()).hexdigest()[:16]}.json"
        self._clock = clock

    def write(self, raw: bytes) -> None:
        """Keep a set. That it cannot be kept is no reason to refuse it now."""
        content = json.dumps({"issuer": self._issuer, "at_ms": self._clock.unix_ms(), "set": raw.decode()})
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")  # of mode 0600
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(content)
                Path(draft).replace(self._path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise

    def read(self, age_s_max: float) -> Kept | None:
        """Return the kept set, or None when there is none, it is too old, or others may have written it."""
        try:
            facts = self._path.stat()
            if facts.st_uid != os.geteuid() or facts.st_mode & 0o077 or facts.st_size > 2 * SIZE_BYTES_MAX:
                return None
            kept = json.loads(self._path.read_bytes())
            age_s = (self._clock.unix_ms() - kept["at_ms"]) / 1_000
            raw = kept["set"].encode()
            if kept["issuer"] != self._issuer or not 0 <= age_s <= age_s_max:
                return None
            return Kept(keys_in(raw), raw, age_s)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

"""What seals and opens payloads, as those see it who write and read them.

`Codec` itself is the one of a process without keys: what it writes stays as it is, and what is sealed it cannot open.
argosy/store/seals.py has the other one.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from argosy.seal.errors import NoMasterKeyError, PayloadUnreadableError

Value = tuple[str, bytes | None]  # the tenant whose it is, and what is stored

UNREADABLE = b'{"payload_unreadable":true}'  # what clients get of an event that cannot be opened


class Sealer(Protocol):
    """Seals payloads of one tenant."""

    def seal(self, data: bytes, place: bytes) -> bytes:
        """Return the sealed value, which opens at this place alone (places.py)."""

    def digest(self, content: bytes) -> bytes:
        """Return 16 bytes that are the same for the same content of this tenant, and tell nothing about it."""


class Opener:
    """Opens values for which it was made. This one opens none that is sealed."""

    def open(self, tenant: str, value: bytes, place: bytes) -> bytes:
        """Return what was sealed; a value that is not sealed as it is. Raises PayloadUnreadableError."""
        if value[:1] == b"\x01":
            raise NoMasterKeyError(f"the payload of tenant {tenant!r} is sealed, and PAYLOAD_KEYS is not set here")
        return value

    def open_or(self, tenant: str, value: bytes, place: bytes, instead: bytes) -> bytes:
        """Return what was sealed, or `instead` when that cannot be read."""
        try:
            return self.open(tenant, value, place)
        except PayloadUnreadableError:
            return instead


_OPENS_NONE = Opener()


class Codec:
    """Seals nothing. is_on: whether this process has keys."""

    is_on: bool = False

    async def sealers(self, tenants: Iterable[str]) -> Mapping[str, Sealer]:
        """Return who seals for each of the tenants; nothing where nobody does. Raises UnavailableError."""
        return {}

    async def sealed(self, tenant: str, data: bytes | None, place: bytes) -> bytes | None:
        """Return a payload as it is to be written. Raises UnavailableError."""
        if data is None or not self.is_on:
            return data
        sealer = (await self.sealers((tenant,))).get(tenant)
        return data if sealer is None else sealer.seal(data, place)

    async def opener(self, values: Iterable[Value]) -> Opener:
        """Return who opens these values. Raises UnavailableError."""
        return _OPENS_NONE


PLAIN = Codec()

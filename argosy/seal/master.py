"""Master keys: they wrap the data keys of tenants, and stand in no database.

Those of PAYLOAD_KEYS are 32 bytes each; the first one wraps, and all unwrap. A wrapped data key: nonce (12) |
ciphertext | tag (16), bound to its tenant and its id. PAYLOAD_KEYS_HOOK names a KMS in place of the first one: an
object with

    def wrap(self, key: bytes, context: str) -> bytes
    def unwrap(self, wrapped: bytes, context: str) -> bytes

which are called in a thread; context (tenant/id) is what a KMS calls its encryption context. They raise KeyRefusedError
(argosy.seal.master) for what no repetition mends: the key that wrapped it is gone. Any other error means that the KMS
is away, and is tried again; until then nothing of the tenant can be written or read whose data key is not in memory.
"""

import asyncio
import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argosy.errors import SettingError
from argosy.seal.envelope import KEY_SIZE_BYTES
from argosy.seal.errors import KeysUnavailableError, NoMasterKeyError, PayloadUnreadableError

HOOK: Final = "hook"  # the name of the master key of PAYLOAD_KEYS_HOOK, in tenant_keys.master
_NONCE_SIZE_BYTES: Final = 12
_WRAPPED_SIZE_BYTES_MAX: Final = 16_384


class KeyRefusedError(Exception):
    """A KMS will never unwrap this again."""


class Wrapped(NamedTuple):
    """A data key as it stands in `tenant_keys`. master: the name of the master key that wrapped it."""

    master: str
    data: bytes


class Kms(Protocol):
    """What PAYLOAD_KEYS_HOOK names."""

    def wrap(self, key: bytes, context: str) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: str) -> bytes: ...


class MasterKeys:
    """The master keys of a process. keys: 32 bytes each; kms wraps in place of the first one. timeout_s: of one call
    of it.
    """

    def __init__(self, keys: Sequence[bytes], kms: Kms | None, timeout_s: float) -> None:
        self._keys = {name_of(each): AESGCM(each) for each in keys}
        self._kms = kms
        self._timeout_s = timeout_s
        self.first: Final = HOOK if kms is not None else name_of(keys[0])

    def has(self, master: str) -> bool:
        """Whether this process has the master key of this name."""
        return self._kms is not None if master == HOOK else master in self._keys

    @property
    def names(self) -> list[str]:
        """The names of all, the one that wraps first."""
        return list(dict.fromkeys((self.first, *self._keys)))

    async def wrap(self, key: bytes, tenant: str, key_id: int) -> Wrapped:
        """Wrap a data key. Raises KeysUnavailableError."""
        context = f"{tenant}/{key_id}"
        if self._kms is not None:
            wrapped = await self._ask(self._kms.wrap, key, context)
            if not 0 < len(wrapped) <= _WRAPPED_SIZE_BYTES_MAX:
                raise KeysUnavailableError(f"PAYLOAD_KEYS_HOOK wrapped a key in {len(wrapped)} bytes")
            return Wrapped(HOOK, wrapped)
        nonce = os.urandom(_NONCE_SIZE_BYTES)
        return Wrapped(self.first, nonce + self._keys[self.first].encrypt(nonce, key, context.encode()))

    async def unwrap(self, wrapped: Wrapped, tenant: str, key_id: int) -> bytes:
        """Return a data key. Raises PayloadUnreadableError (for good, with these master keys), KeysUnavailableError."""
        context = f"{tenant}/{key_id}"
        if not self.has(wrapped.master):
            raise NoMasterKeyError(
                f"key {key_id} of tenant {tenant!r} is wrapped by master key {wrapped.master}, which PAYLOAD_KEYS and "
                "PAYLOAD_KEYS_HOOK do not have here"
            )
        try:
            if wrapped.master == HOOK and self._kms is not None:
                key = await self._ask(self._kms.unwrap, wrapped.data, context)
            else:
                nonce, rest = wrapped.data[:_NONCE_SIZE_BYTES], wrapped.data[_NONCE_SIZE_BYTES:]
                key = self._keys[wrapped.master].decrypt(nonce, rest, context.encode())
        except (InvalidTag, ValueError, KeyRefusedError):
            key = b""
        if len(key) != KEY_SIZE_BYTES:
            raise PayloadUnreadableError(
                f"key {key_id} of tenant {tenant!r} cannot be unwrapped: it is another's, or damaged"
            )
        return key

    async def _ask(self, call: "_Call", data: bytes, context: str) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                return bytes(await asyncio.to_thread(call, data, context))
        except KeyRefusedError:
            raise
        except Exception as error:  # the edge of user code
            raise KeysUnavailableError(f"PAYLOAD_KEYS_HOOK: {type(error).__name__}: {error}") from error


class _Call(Protocol):
    def __call__(self, data: bytes, context: str, /) -> bytes: ...


def name_of(key: bytes) -> str:
    """Return the name of a master key: it tells nothing about the key."""
    return hashlib.sha256(b"argosy master key" + key).hexdigest()[:16]


def master_keys(text: str) -> list[bytes]:
    """Return the keys of PAYLOAD_KEYS: base64 or hex, separated by commas. Raises SettingError, which quotes none."""
    keys = []
    for number, part in enumerate((each.strip() for each in text.split(",") if each.strip()), start=1):
        try:
            key = bytes.fromhex(part) if len(part) == 2 * KEY_SIZE_BYTES else base64.b64decode(part, validate=True)
        except (ValueError, binascii.Error):
            key = b""
        if len(key) != KEY_SIZE_BYTES:
            raise SettingError(
                f"PAYLOAD_KEYS: key {number} is not {KEY_SIZE_BYTES} bytes in hex or base64: make one with "
                "`openssl rand -hex 32`"
            )
        if key in keys:
            raise SettingError(f"PAYLOAD_KEYS: key {number} is there twice")
        keys.append(key)
    return keys

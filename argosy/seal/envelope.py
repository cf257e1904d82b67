"""The form of a sealed value: 0x01 | key id (4) | nonce (12) | ciphertext | tag (16). Pure.

JSON never begins with 0x01, so a value says itself whether it is sealed. The first five bytes are authenticated with
the place. Nonces are random: a key seals 2^31 values at the most (NIST SP 800-38D allows 2^32), see KEY_USES_MAX.
"""

import os
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argosy.seal.errors import PayloadUnreadableError

KEY_SIZE_BYTES: Final = 32
KEY_USES_MAX: Final = 2**26  # by one process: 2^31 in all with 32 processes that seal for one tenant all the time

_SEALED: Final = b"\x01"  # the first byte of a sealed value
_HEAD: Final = struct.Struct(">cI")
_NONCE_SIZE_BYTES: Final = 12
_TAG_SIZE_BYTES: Final = 16
OVERHEAD_SIZE_BYTES: Final = _HEAD.size + _NONCE_SIZE_BYTES + _TAG_SIZE_BYTES


def is_sealed(value: bytes | None) -> bool:
    """Whether a stored value is sealed, or was before it was damaged."""
    return value is not None and value[:1] == _SEALED


def key_id_of(value: bytes) -> int:
    """Return the id of the data key that sealed a value. Raises PayloadUnreadableError when it is cut off."""
    if len(value) < OVERHEAD_SIZE_BYTES:
        raise PayloadUnreadableError(f"the sealed value is cut off: it has {len(value)} bytes")
    key_id: int = _HEAD.unpack_from(value)[1]
    return key_id


def seal(key: AESGCM, key_id: int, data: bytes, place: bytes) -> bytes:
    """Return the sealed value of `data`, which opens at this place alone."""
    head, nonce = _HEAD.pack(_SEALED, key_id), os.urandom(_NONCE_SIZE_BYTES)
    return head + nonce + key.encrypt(nonce, data, head + place)


def unseal(key: AESGCM, value: bytes, place: bytes) -> bytes:
    """Return what was sealed. Raises PayloadUnreadableError when this key did not seal it for this place."""
    head, rest = value[: _HEAD.size], value[_HEAD.size :]
    try:
        return key.decrypt(rest[:_NONCE_SIZE_BYTES], rest[_NONCE_SIZE_BYTES:], head + place)
    except (InvalidTag, ValueError):
        raise PayloadUnreadableError(
            "the sealed value does not open: it was changed, or belongs elsewhere, or its key is another one now"
        ) from None

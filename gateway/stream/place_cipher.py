"""Places of a session's turns, as its clients see them.

All places come from one sequence of the whole fleet. If ids held them in the clear, two events of a session would show
how many turns all tenants posted in between. So an id holds its place sealed: enciphered and signed for this one
session (an SIV scheme: the signature of place and session is the initial value of the cipher). All gateways with the
same secret seal a place in the same way.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from typing import Final

_HALF_SIZE_BYTES: Final = 8
# Begins a sealed place. Older gateways gave out places in the clear, which have no mark.
_MARK: Final = "p"


class PlaceCipher:
    """Seals and unseals places of one session. key: Keys.places. previous: one with which places may
    have been sealed.
    """

    def __init__(self, key: bytes, session_id: uuid.UUID, previous: bytes | None = None) -> None:
        self._key = key
        self._keys = (key,) if previous is None else (key, previous)
        self._session = session_id.bytes

    def seal(self, place: int) -> str:
        """Return the text for a place; "0" for no place (0)."""
        if not place:
            return "0"
        plain = place.to_bytes(_HALF_SIZE_BYTES, "big")
        tag = self._tag(self._key, plain)
        return _MARK + base64.urlsafe_b64encode(tag + self._masked(self._key, tag, plain)).rstrip(b"=").decode()

    def unseal(self, text: str) -> int:
        """Return the place. Raises ValueError when the text was not given out for this session."""
        if not text.startswith(_MARK):
            return int(text)
        try:
            raw = base64.b64decode(text[1:].encode() + b"==", altchars=b"-_", validate=True)
        except binascii.Error:
            raw = b""
        tag = raw[:_HALF_SIZE_BYTES]
        for key in self._keys:
            plain = self._masked(key, tag, raw[_HALF_SIZE_BYTES:])
            if len(plain) == _HALF_SIZE_BYTES and hmac.compare_digest(tag, self._tag(key, plain)):
                return int.from_bytes(plain, "big")
        raise ValueError("the id was not given out by a stream of this session")

    def _tag(self, key: bytes, plain: bytes) -> bytes:
        return self._digest(key, b"tag", plain)

    def _masked(self, key: bytes, tag: bytes, text: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(self._digest(key, b"mask", tag), text, strict=False))

    def _digest(self, key: bytes, purpose: bytes, content: bytes) -> bytes:
        signed = self._session + content
        return hashlib.blake2b(signed, digest_size=_HALF_SIZE_BYTES, key=key, person=purpose).digest()

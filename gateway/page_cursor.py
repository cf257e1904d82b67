"""Opaque cursors: where the next page of one list begins.

A cursor holds a place in a list and permits nothing: every query compares tenant and lane all the same. It fits only
the list that gave it out, with the same filters and tenant, and is signed, so its content needs no further check.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final

import msgspec

from argosy.gateway.problems import Problem

_SIGNATURE_SIZE_BYTES: Final = 12  # 96 bits: nobody guesses one, and a cursor stays short

ListName = tuple[str | None, ...]


class PageCursors:
    """Makes and reads cursors. Processes with the same key read each other's. key: Keys.cursors. previous: one with
    which cursors may have been made.
    """

    def __init__(self, key: bytes, previous: bytes | None = None) -> None:
        self._key = key
        self._keys = (key,) if previous is None else (key, previous)

    def encode(self, list_name: ListName, place: tuple[Any, ...]) -> str:
        """Return the cursor of the next page.

        list_name: the list, its tenant and filters. place: the sort key of a page's last row (times in microseconds).
        """
        content = msgspec.msgpack.encode(place)
        return base64.urlsafe_b64encode(_signature(self._key, list_name, content) + content).rstrip(b"=").decode()

    def decode(self, list_name: ListName, cursor: str, place_type: Any) -> Any:
        """Return the place that a cursor holds. Raises Problem when the cursor is not one of this list."""
        try:
            raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            content = raw[_SIGNATURE_SIZE_BYTES:]
            signature = raw[:_SIGNATURE_SIZE_BYTES]
            if any(hmac.compare_digest(signature, _signature(key, list_name, content)) for key in self._keys):
                return msgspec.msgpack.decode(content, type=place_type)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            pass
        raise Problem("invalid_cursor", "use the `next` of a page of this list, with the same filters, unchanged")


def _signature(key: bytes, list_name: ListName, content: bytes) -> bytes:
    signed = msgspec.msgpack.encode((list_name, content))
    return hashlib.blake2b(signed, digest_size=_SIGNATURE_SIZE_BYTES, key=key).digest()

"""turn.completed as clients are told it: with the result, so that whoever follows the turn need not ask for it. Pure.

The result is kept once, with the turn. Whoever tells the event adds it: the owner to what it tells live, the store to
what it reads, both by this.
"""

import uuid
from typing import Final

_EMPTY: Final = b"{}"


def with_result(
    data: bytes, turn_id: uuid.UUID, result: bytes | None, size_bytes: int, *, size_bytes_max: int
) -> bytes:
    """The data of turn.completed with "result"; with "result_size_bytes" and "links" in its place when the result, JSON
    of size_bytes, is larger than size_bytes_max.
    """
    if result is not None and size_bytes <= size_bytes_max:
        members = b'"result":%b' % result
    else:
        members = b'"result_size_bytes":%d,"links":{"turn":"/v1/turns/%b"}' % (size_bytes, str(turn_id).encode())
    return b"%b%b%b}" % (data[:-1], b"" if data == _EMPTY else b",", members)

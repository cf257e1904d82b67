"""turn.completed as clients see it: with the turn's result, so that a follower need not ask for it. Pure.

The result is kept once, in the turn's row. Two places add it to the event, both by this function: the owner to what it
sends live, and the store to what it reads.
"""

import uuid
from typing import Final

_EMPTY: Final = b"{}"


def with_result(
    data: bytes, turn_id: uuid.UUID, result: bytes | None, size_bytes: int, *, size_bytes_max: int
) -> bytes:
    """Return the data of turn.completed with "result" added.

    A result (JSON of size_bytes) that is larger than size_bytes_max, or that the caller did not read (None), is left
    out: "result_size_bytes" and "links" take its place.
    """
    if result is not None and size_bytes <= size_bytes_max:
        members = b'"result":%b' % result
    else:
        members = b'"result_size_bytes":%d,"links":{"turn":"/v1/turns/%b"}' % (size_bytes, str(turn_id).encode())
    return b"%b%b%b}" % (data[:-1], b"" if data == _EMPTY else b",", members)

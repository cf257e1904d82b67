"""Signed calls without a round trip before them: for calls that are many, short, and bound by what they carry. Pure.

A caller opens a call with its metadata: whom it means (the callee's id), when (by the callee's clock, as the caller
knows it), and a number used once, proven by a code. Of these, the method and the fleet's key both sides derive the
call's key. Each message of the call, in either direction, ends with its code under that key.

Rules:
- A code is HMAC-SHA256 over the direction, the message's number in it, the callee's challenge if there is one, and the
  message, which names tenant and graph. So no message is valid in another call, at another callee, for another method,
  in the other direction, at another place, or altered. An answer is believed only if the callee that is meant gave it
  in this very call.
- A stream of messages ends with a code of its own: one that was cut off is not taken for a whole one.
- A caller says beside its opening how large its request is, if it is large, with a code: the callee decides whether it
  has room before it reads it.
- A refusal is signed as well: a caller believes no error that somebody else made.
- A call is taken for as long as its time is within a window around the callee's clock. A refusal for the clock carries
  the callee's time, signed for this call: the caller signs again by that time, once.

What somebody who recorded a call can do within the window: send it again, whole, to the same callee.
- A read tells nothing: its answer is not secret from those who see the first one (TLS is for that).
- A write changes nothing: each carries a key (WriteKey), under which it is applied once; what is created or dropped is
  one incarnation of a graph, which comes to be once, and never again after it was dropped.
- A call with a stream of requests is not valid again at all: the callee gives it a challenge. That takes a round trip,
  which such a call can afford.
- Calls that are opened and say nothing take room, of which there is a bound (shards/server.py): whoever is on the
  network can keep others from being served. TLS with certificates of callers keeps strangers out.
"""

import hashlib
import hmac
import secrets
import struct
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from argosy.rpc.signing import SignatureError

# In the metadata that begin a call, in the callee's that begin its answer, and in those that end it.
CALL_HEADER: Final = "argosy-call-bin"
SIZE_HEADER: Final = "argosy-size-bin"
CHALLENGE_HEADER: Final = "argosy-challenge-bin"
REFUSAL_HEADER: Final = "argosy-refusal-bin"
CHALLENGE_SIZE_BYTES: Final = 16
CODE_SIZE_BYTES: Final = 32
# A code follows its message as field 15, of type bytes. No message of proto/argosy/rpc/shard.proto has a field 15, so
# those who know nothing of codes can read the messages.
_SUFFIX: Final = bytes([15 << 3 | 2, CODE_SIZE_BYTES])
SUFFIX_SIZE_BYTES: Final = len(_SUFFIX) + CODE_SIZE_BYTES
_OPENING: Final = struct.Struct(">16sq16s")
_NUMBER: Final = struct.Struct(">q")
_SIZE: Final = struct.Struct(">q32s")
SAID_BYTES: Final = 65_536  # a request with more is large
_MESSAGE: Final = b"m"
_END: Final = b"e"
# The directions of messages.
REQUESTS: Final = b"requests"
ANSWERS: Final = b"answers"
REFUSAL: Final = b"refusal"


class Opening(NamedTuple):
    """What a caller says before its first message. callee_id: whom it means. at_ms: Unix milliseconds."""

    callee_id: uuid.UUID
    at_ms: int
    nonce: bytes

    @classmethod
    def of_now(cls, callee_id: uuid.UUID, at_ms: int) -> "Opening":
        return cls(callee_id, at_ms, secrets.token_bytes(16))

    def is_stale(self, now_ms: int, age_max_s: float) -> bool:
        return abs(now_ms - self.at_ms) > age_max_s * 1_000


def challenge() -> bytes:
    """Return a random number, which no call was given before."""
    return secrets.token_bytes(CHALLENGE_SIZE_BYTES)


def call_key(key: bytes, method: str, opening: Opening) -> bytes:
    """Return the key of one call. key: the fleet's. method: its full gRPC name, "/package.Service/Method"."""
    return _hmac(key, b"call" + _packed(opening) + method.encode())


def header_of(opening: Opening, key_of_call: bytes) -> bytes:
    """Return the value of CALL_HEADER: the opening, and the proof that who opens the call has the key."""
    return _packed(opening) + _hmac(key_of_call, b"opening")


def opening_of(metadata: Mapping[str, Any], keys: Iterable[bytes], method: str) -> tuple[Opening, bytes]:
    """Return the opening of a call from its metadata, and the call's key. keys: the fleet's, and the one before it if
    callers may still have that. Raises SignatureError when no process with one of them has made it for this method.
    """
    header = metadata.get(CALL_HEADER)
    if not isinstance(header, bytes) or len(header) != _OPENING.size + CODE_SIZE_BYTES:
        raise SignatureError(f"the call does not begin with {CALL_HEADER}")
    callee_id, at_ms, nonce = _OPENING.unpack_from(header)
    opening = Opening(uuid.UUID(bytes=callee_id), at_ms, nonce)
    for key in keys:
        key_of_call = call_key(key, method, opening)
        if hmac.compare_digest(header, header_of(opening, key_of_call)):
            return opening, key_of_call
    raise SignatureError(
        "the caller has another secret: set the same GRAPH_SERVICE_AUTH_SECRET, or data folder, for both"
    )


def size_header_of(size_bytes: int, key_of_call: bytes) -> bytes:
    """Return the value of SIZE_HEADER."""
    return _SIZE.pack(size_bytes, _hmac(key_of_call, b"size" + _NUMBER.pack(size_bytes)))


def size_of(metadata: Mapping[str, Any], key_of_call: bytes) -> int:
    """Return how many bytes the request of a call has; 0: it has few, or the call has several. Raises SignatureError
    when its caller has not said so.
    """
    header = metadata.get(SIZE_HEADER)
    if header is None:
        return 0
    if not isinstance(header, bytes) or len(header) != _SIZE.size:
        raise SignatureError(f"{SIZE_HEADER} is of another version")
    size_bytes: int = _SIZE.unpack(header)[0]
    if not hmac.compare_digest(header, size_header_of(size_bytes, key_of_call)):
        raise SignatureError(f"{SIZE_HEADER} is not this call's")
    return size_bytes


class Codes:
    """Signs or verifies the messages of one direction of a call, in their order. A call has its requests, its answers,
    and at most one refusal.
    """

    def __init__(self, key_of_call: bytes, direction: bytes, challenge: bytes = b"") -> None:
        """direction: REQUESTS, ANSWERS or REFUSAL. challenge: the callee's, if the method has a stream of requests."""
        self._key = key_of_call
        self._prefix = direction + challenge
        self._number = 0

    def sign(self, body: bytes) -> bytes:
        """Return the next message, with its code."""
        return body + _SUFFIX + self._next(_MESSAGE, body)

    def sign_end(self) -> bytes:
        """Return what says that no message follows."""
        return _SUFFIX + self._next(_END, b"")

    def body_of(self, message: bytes) -> bytes:
        """Return the next message without its code. Raises SignatureError when it is not valid; then the call is over,
        as none that follows can be valid.
        """
        body = message[:-SUFFIX_SIZE_BYTES]
        if not self._is_code(message, self._next(_MESSAGE, body)):
            raise SignatureError("the signature does not fit: another secret, another call, or not its next message")
        return body

    def is_end(self, message: bytes) -> bool:
        """Whether this message, the next one of a stream, says that no message follows."""
        return len(message) == SUFFIX_SIZE_BYTES and self._is_code(message, self._code(_END, b""))

    def _is_code(self, message: bytes, code: bytes) -> bool:
        # compare_digest takes the same time wherever the codes differ.
        return len(message) >= SUFFIX_SIZE_BYTES and hmac.compare_digest(message[-SUFFIX_SIZE_BYTES:], _SUFFIX + code)

    def _next(self, kind: bytes, body: bytes) -> bytes:
        code = self._code(kind, body)
        self._number += 1
        return code

    def _code(self, kind: bytes, body: bytes) -> bytes:
        return _hmac(self._key, b"".join((self._prefix, _NUMBER.pack(self._number), kind, body)))


def _packed(opening: Opening) -> bytes:
    return _OPENING.pack(opening.callee_id.bytes, opening.at_ms, opening.nonce)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)

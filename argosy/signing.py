"""Signed streams between our own processes: who signed a message, for whom, in which stream, and in which place there.

Rules:
- A stream has two keys, one a direction, made of the fleet's key, the method, the callee's worker id, and a number used
  once of each side (`nonce`). Only who holds the secret has them, and no other stream ever has the same: a recorded
  message fits no other stream, worker or method, nor the other direction.
- A message is signed with its number in the stream, from 0. The number is not sent, both sides count: a message that
  is repeated, left out or moved fits no more, and nothing after it does.
- The callee's nonce is its challenge. So nothing depends on a clock, and nobody has to remember what was heard before;
  it costs one round trip when a stream is opened, which lives for long.
- Before that round trip the caller proves that it has the key (`proof`). A recorded proof can be shown again, and is
  good for nothing but to be answered with a challenge; without one a call is refused at once and takes no room.

Not promised: that a message stays secret (TLS does that), nor that the last messages before a stream's end arrive: who
stands between two processes may end a stream at any time, and both sides must be able to live with that.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from argosy.errors import ArgosyError
from argosy.rpc.signed_pb2 import Signed

NONCE_SIZE_BYTES: Final = 16
# In the metadata that begin a call: see proto/argosy/rpc/signed.proto.
NONCE_HEADER: Final = "argosy-nonce-bin"
WORKER_HEADER: Final = "argosy-worker-bin"
PROOF_HEADER: Final = "argosy-proof-bin"


class SignatureError(ArgosyError):
    """A message was not signed by one of us, for this stream, as its next."""

    code = "bad_signature"


class StreamKeys(NamedTuple):
    """One a direction: nobody is told by an echo of what it said."""

    requests: bytes
    responses: bytes


def nonce() -> bytes:
    """A number that is used once."""
    return secrets.token_bytes(NONCE_SIZE_BYTES)


def proof(key: bytes, method: str, caller_nonce: bytes) -> bytes:
    """Of a caller, that it has the key."""
    return hmac.digest(key, b"proof" + caller_nonce + method.encode(), hashlib.sha256)


def caller_nonce_of(metadata: Mapping[str, Any], key: bytes, method: str) -> bytes:
    """What a call begins with. Raises SignatureError when that was not made by one of us for this method."""
    caller_nonce, proven = metadata.get(NONCE_HEADER), metadata.get(PROOF_HEADER)
    if not isinstance(caller_nonce, bytes) or len(caller_nonce) != NONCE_SIZE_BYTES or not isinstance(proven, bytes):
        raise SignatureError(f"the call does not begin with {NONCE_HEADER} and {PROOF_HEADER}")
    if not hmac.compare_digest(proven, proof(key, method, caller_nonce)):
        raise SignatureError("the caller has another secret")
    return caller_nonce


def stream_keys(key: bytes, method: str, callee_id: bytes, caller_nonce: bytes, callee_nonce: bytes) -> StreamKeys:
    """method: the full gRPC name, "/package.Service/Method"; the others have 16 bytes each."""
    stream = callee_id + caller_nonce + callee_nonce + method.encode()
    return StreamKeys(
        hmac.digest(key, b"requests" + stream, hashlib.sha256), hmac.digest(key, b"responses" + stream, hashlib.sha256)
    )


class _Numbered:
    """The codes of one direction's messages, in order."""

    def __init__(self, key: bytes) -> None:
        self._begun = hmac.new(key, digestmod=hashlib.sha256)
        self._number = 0

    def _mac(self, body: bytes) -> bytes:
        """Of the next message."""
        mac = self._begun.copy()
        mac.update(self._number.to_bytes(8, "big"))
        mac.update(body)
        self._number += 1
        return mac.digest()


class Signer(_Numbered):
    """Signs what one side of a stream says. What is signed must be sent, in this order, and by one at a time."""

    def sign(self, body: bytes) -> bytes:
        """A Signed, encoded."""
        encoded: bytes = Signed(body=body, mac=self._mac(body)).SerializeToString()
        return encoded


class Verifier(_Numbered):
    """Believes what one side of a stream said, message by message."""

    def body_of(self, message: bytes) -> bytes:
        """Of a Signed, encoded. Raises SignatureError; after that the stream must end."""
        try:
            signed = Signed.FromString(message)
        except DecodeError:
            raise SignatureError("the message is none of ours") from None
        # The comparison takes the same time whatever is wrong with the code.
        if not hmac.compare_digest(signed.mac, self._mac(signed.body)):
            raise SignatureError("the signature does not fit: another secret, another stream, or not its next message")
        body: bytes = signed.body
        return body

"""Signed streams between Argosy's processes. A signature proves that a process of the fleet wrote this message, for
this worker and method, in this stream and at this place of it.

Rules:
- A stream has two keys, one per direction, derived from the fleet's key, the method, the callee's worker id, and a
  number used once of each side (`nonce`). Only processes with the secret can derive them, and no other stream has the
  same ones: a recorded message is valid in no other stream, worker or method, nor in the other direction.
- A message is signed with its number in the stream, from 0. The number is not sent: both sides count. When a message is
  repeated, left out or moved, neither it nor any later one is valid.
- The callee's nonce is a challenge. So nothing depends on a clock, and no process has to remember earlier messages; the
  price is one round trip when a stream is opened, and streams live for long.
- A callee may have two keys, of which the second proves calls alone (GRAPH_SERVICE_AUTH_SECRET_PREVIOUS). A stream has
  the key that its caller has: a caller believes no answer under another one.
- Before that round trip the caller proves that it has the key (`proof`). An attacker can send a recorded proof again,
  but gets only a challenge for it. A call without a proof is refused at once and takes no room.

Not promised: that a message stays secret (TLS does that), nor that the last messages before a stream's end arrive: an
attacker between two processes can end a stream at any time, and both sides must be able to live with that.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from argosy.errors import ArgosyError
from argosy.rpc.signed_pb2 import Signed

NONCE_SIZE_BYTES: Final = 16  # 128 bits: none comes twice
# In the metadata that begin a call: see proto/argosy/rpc/signed.proto.
NONCE_HEADER: Final = "argosy-nonce-bin"
WORKER_HEADER: Final = "argosy-worker-bin"
PROOF_HEADER: Final = "argosy-proof-bin"


class SignatureError(ArgosyError):
    """A message was not signed by a process of this fleet as the next one of this stream."""

    code = "bad_signature"


class StreamKeys(NamedTuple):
    """The keys of a stream, one per direction, so that a side's own messages, sent back to it, are not valid."""

    requests: bytes
    responses: bytes


def nonce() -> bytes:
    """Return a random number to be used once."""
    return secrets.token_bytes(NONCE_SIZE_BYTES)


def proof(key: bytes, method: str, caller_nonce: bytes) -> bytes:
    """Return a caller's proof that it has the key."""
    return hmac.digest(key, b"proof" + caller_nonce + method.encode(), hashlib.sha256)


def caller_nonce_of(metadata: Mapping[str, Any], keys: Iterable[bytes], method: str) -> tuple[bytes, bytes]:
    """Return the caller's nonce from the metadata of a call, and which of the keys it has. Raises SignatureError when
    the metadata has no proof that was made for this nonce and method by a process with one of them.
    """
    caller_nonce, proven = metadata.get(NONCE_HEADER), metadata.get(PROOF_HEADER)
    if not isinstance(caller_nonce, bytes) or len(caller_nonce) != NONCE_SIZE_BYTES or not isinstance(proven, bytes):
        raise SignatureError(f"the call does not begin with {NONCE_HEADER} and {PROOF_HEADER}")
    for key in keys:
        if hmac.compare_digest(proven, proof(key, method, caller_nonce)):
            return caller_nonce, key
    raise SignatureError("the caller has another secret")


def stream_keys(key: bytes, method: str, callee_id: bytes, caller_nonce: bytes, callee_nonce: bytes) -> StreamKeys:
    """Derive the keys of a stream. method: its full gRPC name, "/package.Service/Method". callee_id and the nonces have
    16 bytes each.
    """
    stream = callee_id + caller_nonce + callee_nonce + method.encode()
    return StreamKeys(
        hmac.digest(key, b"requests" + stream, hashlib.sha256), hmac.digest(key, b"responses" + stream, hashlib.sha256)
    )


class _Numbered:
    """Computes the codes of one direction's messages, in order."""

    def __init__(self, key: bytes) -> None:
        self._begun = hmac.new(key, digestmod=hashlib.sha256)
        self._number = 0

    def _mac(self, body: bytes) -> bytes:
        """Return the code of the next message."""
        mac = self._begun.copy()
        mac.update(self._number.to_bytes(8, "big"))
        mac.update(body)
        self._number += 1
        return mac.digest()


class Signer(_Numbered):
    """Signs the messages of one side of a stream. All of them must be sent, in the order in which they were signed, by
    one task at a time.
    """

    def sign(self, body: bytes) -> bytes:
        """Sign the next message; return an encoded Signed."""
        encoded: bytes = Signed(body=body, mac=self._mac(body)).SerializeToString()
        return encoded


class Verifier(_Numbered):
    """Verifies the messages that one side of a stream has sent, in order."""

    def body_of(self, message: bytes) -> bytes:
        """Return the body of the next message, an encoded Signed. Raises SignatureError when it is not valid; then the
        stream must end.
        """
        try:
            signed = Signed.FromString(message)
        except DecodeError:
            raise SignatureError("the message is not a signed one") from None
        # compare_digest takes the same time wherever the codes differ.
        if not hmac.compare_digest(signed.mac, self._mac(signed.body)):
            raise SignatureError("the signature does not fit: another secret, another stream, or not its next message")
        body: bytes = signed.body
        return body

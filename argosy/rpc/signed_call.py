"""The caller's side of calls between Argosy's processes. Each side signs every message of a call.

On the wire every call is a stream in both directions, whatever its method's kind: the callee's nonce must come before
the first message can be signed. To gRPC, a call with one message is a stream with one message.

The caller believes an answer only if the worker that is meant signed it for this very stream. Another process that took
the address of a worker that is gone is not taken for that worker, whether it has the secret or not.
"""

import asyncio
import uuid
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import structlog

from argosy import telemetry
from argosy.errors import UnavailableError
from argosy.rpc.signing import (
    NONCE_HEADER,
    NONCE_SIZE_BYTES,
    PROOF_HEADER,
    WORKER_HEADER,
    SignatureError,
    Signer,
    Verifier,
    nonce,
    proof,
    stream_keys,
)

log = structlog.get_logger()

_ENDED: Final = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)


class Callee(NamedTuple):
    """The worker to call, and its address as last known."""

    worker_id: uuid.UUID
    address: str


class CallError(UnavailableError):
    """The worker to call does not answer at its address: it is gone, or of another version."""


class SignedCall:
    """An open call to a worker. It is used on one event loop, by one writing and one reading task at a time."""

    def __init__(self, call: Any, address: str, method: str, signer: Signer, verifier: Verifier, answer: Any) -> None:
        self._call = call
        self._address = address
        self._method = method
        self._signer = signer
        self._verifier = verifier
        self._answer = answer

    @classmethod
    async def open(cls, channel: Any, key: bytes, method: str, callee: Callee, answer: Any) -> "SignedCall":
        """Begin a call, as Peer.open. answer: the class of the callee's messages."""
        caller_nonce = nonce()
        call = channel.stream_stream(method)(
            metadata=((NONCE_HEADER, caller_nonce), (PROOF_HEADER, proof(key, method, caller_nonce)))
        )
        try:
            greeting = dict(await call.initial_metadata() or ())
            callee_nonce = greeting.get(NONCE_HEADER)
            if not isinstance(callee_nonce, bytes) or len(callee_nonce) != NONCE_SIZE_BYTES:
                raise CallError(f"{callee.address} does not answer as this version's workers do")
            if greeting.get(WORKER_HEADER) != callee.worker_id.bytes:
                raise CallError(f"{callee.address} is now the address of another worker")
        except _ENDED as error:
            raise CallError(f"{callee.address} ended the call at once") from error
        except BaseException:
            call.cancel()
            raise
        keys = stream_keys(key, method, callee.worker_id.bytes, caller_nonce, callee_nonce)
        return cls(call, callee.address, method, Signer(keys.requests), Verifier(keys.responses), answer)

    async def write(self, message: Any) -> None:
        """Sign and send a message. Raises CallError when the stream has ended."""
        try:
            await self._call.write(self._signer.sign(message.SerializeToString()))
        except _ENDED as error:
            raise CallError(f"{self._address}: the stream has ended") from error

    async def end(self) -> None:
        """Say that no more messages will be written; the callee can still answer. Raises CallError when the stream has
        ended.
        """
        try:
            await self._call.done_writing()
        except _ENDED as error:
            raise CallError(f"{self._address}: the stream has ended") from error

    async def read(self) -> Any:
        """Return the next answer, or None when the callee has ended the stream in order. Raises CallError when the
        stream broke, and SignatureError when the worker that is meant did not sign the answer.
        """
        try:
            message = await self._call.read()
        except _ENDED as error:
            raise CallError(f"{self._address}: the stream has ended") from error
        if message is grpc.aio.EOF:
            return None
        try:
            return self._answer.FromString(self._verifier.body_of(message))
        except SignatureError as error:
            self._call.cancel()
            telemetry.CALLS_REFUSED.inc()
            log.warning(telemetry.CALL_REFUSED, method=self._method, callee=self._address, error=str(error))
            raise

    def cancel(self) -> None:
        self._call.cancel()

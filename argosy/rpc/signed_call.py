"""The caller's side of calls between Argosy's processes. A call is one stream; each side signs every message.

The caller believes an answer only if the worker that is meant signed it for this very stream. Another process that took
the address of a worker that is gone is not taken for that worker, whether it has the secret or not.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import structlog

from argosy import telemetry
from argosy.errors import UnavailableError
from argosy.process import fork
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

# Argosy's processes reach each other directly: http_proxy and all_proxy of the environment are for other destinations.
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)
_ENDED: Final = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)


class Callee(NamedTuple):
    """The worker to call, and its address as last known."""

    worker_id: uuid.UUID
    address: str


class CallError(UnavailableError):
    """The worker to call does not answer at its address: it is gone, or of another version."""


def open_channel(address: str, options: Sequence[tuple[str, Any]] = ()) -> Any:
    """Open a channel to another process of Argosy. Close it, or use it with `async with`."""
    fork.own_peer_address(address)
    return grpc.aio.insecure_channel(address, [*_OPTIONS, *options])


class SignedCall:
    """An open stream to a worker. It is used on one event loop, by one writing and one reading task at a time."""

    def __init__(self, call: Any, address: str, method: str, signer: Signer, verifier: Verifier, answer: Any) -> None:
        self._call = call
        self._address = address
        self._method = method
        self._signer = signer
        self._verifier = verifier
        self._answer = answer

    @classmethod
    async def open(cls, channel: Any, key: bytes, method: str, callee: Callee, answer: Any) -> "SignedCall":
        """Open a stream; that takes one round trip. answer: the class of the callee's messages. Raises CallError. It
        has no time-out: it waits for ever for a callee that does not answer.
        """
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

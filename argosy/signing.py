"""Signed messages between our own processes: HMAC-SHA256 over method, time and the digest of the message.

A signature says that the caller holds the shared secret, that it meant this method and these bytes, and that it did
so within SIGNING_SKEW_S of now. It does not keep a message secret (TLS does), and within the skew the same message may
be played again: what is signed must be safe to repeat.

Units: times are whole Unix seconds.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, SettingError
from argosy.rpc.signed_pb2 import SignedRequest

log = structlog.get_logger()

UNSIGNED_MAX: Final = 256
UNSIGNED_S: Final = 5.0
SECRET_FILE_NAME: Final = "signing-secret"  # noqa: S105 (a file name)


class SignatureError(ArgosyError):
    """A message is not signed, not by us, or not now."""

    code = "bad_signature"


def load_secret(configured: str, data_dir: Path) -> bytes:
    """The shared secret: the configured one, or the one of the data folder, minted there (0600) on first use.

    Any number of processes may call this at once for one folder: they all get the same secret. Raises SettingError.
    """
    if configured:
        return configured.encode()
    path = data_dir / SECRET_FILE_NAME
    try:
        if not path.exists():
            _mint_secret(path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingError(f"the shared secret {path} cannot be read or made: {error.strerror}") from error
    if len(secret) < 32:
        raise SettingError(f"the shared secret {path} is shorter than 32 bytes: delete it, and a new one is made")
    return secret


def _mint_secret(path: Path) -> None:
    """A link either makes the name or finds it taken: nobody ever reads half a secret, and the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{SECRET_FILE_NAME}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def sign(secret: bytes, method: str, body: bytes, now_s: int) -> SignedRequest:
    """One message of a stream. method: the full gRPC name, "/package.Service/Method"."""
    time_s = str(now_s)
    return SignedRequest(body=body, time_s=time_s, signature=_signature(secret, method, time_s, body))


def verify(secret: bytes, method: str, request: SignedRequest, now_s: int, skew_s: float) -> None:
    """Returns when the message was signed with the secret, for this method, within skew_s of now.

    Raises SignatureError. The comparison takes the same time whatever is wrong with the signature.
    """
    if not request.signature or not request.time_s.isdecimal():
        raise SignatureError("the message is not signed")
    expected = _signature(secret, method, request.time_s, request.body)
    if not hmac.compare_digest(request.signature.encode(), expected.encode()):
        raise SignatureError("the signature does not fit the message")
    age_s = now_s - int(request.time_s)
    if abs(age_s) > skew_s:
        raise SignatureError(f"the message was signed {age_s} s ago by this machine's clock")


def _signature(secret: bytes, method: str, time_s: str, body: bytes) -> str:
    text = f"{method}\n{time_s}\n{hashlib.sha256(body).hexdigest()}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


class VerifyCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Answers UNAUTHENTICATED to everything that is not signed, and says so; the servicer never sees it.

    Every call is a stream in both directions, and each of its messages is a SignedRequest; the first that is not signed
    ends it. A message's bytes are checked as they came, so an older callee verifies a newer caller. A call reaches its
    servicer with its first message: whoever says nothing that is signed takes no room from those who do. Of such calls
    UNSIGNED_MAX are kept, and for UNSIGNED_S; one too many ends the oldest.
    """

    def __init__(self, secret: bytes, skew_s: float, clock: Clock) -> None:
        self._secret = secret
        self._skew_s = skew_s
        self._clock = clock
        self._unsigned: dict[asyncio.Future[SignedRequest | None], None] = {}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        if handler.stream_stream is None:
            raise NotImplementedError(f"{method}: calls of this kind cannot be verified")

        async def answer(messages: AsyncIterator[bytes], context: Any) -> None:
            requests = self._verified(messages, method)
            try:
                first = await self._first(requests)
                if first is not None:
                    await handler.stream_stream(_chained(first, requests), context)
                else:
                    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "nothing signed came in time")
            except SignatureError as error:
                telemetry.CALLS_REFUSED.inc()
                log.warning(telemetry.CALL_REFUSED, method=method, caller=context.peer(), error=str(error))
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))

        return grpc.stream_stream_rpc_method_handler(answer, None, handler.response_serializer)

    async def _verified(self, messages: AsyncIterator[bytes], method: str) -> AsyncIterator[SignedRequest]:
        async for message in messages:
            try:
                request = SignedRequest.FromString(message)
            except DecodeError:
                raise SignatureError("the message is none of ours") from None
            verify(self._secret, method, request, self._clock.unix_ms() // 1000, self._skew_s)
            yield request

    async def _first(self, requests: AsyncIterator[SignedRequest]) -> SignedRequest | None:
        """None: none came in time, or there were too many who wait for theirs. Raises SignatureError."""
        coming = asyncio.ensure_future(anext(requests, None))
        self._unsigned[coming] = None
        if len(self._unsigned) > UNSIGNED_MAX:
            next(iter(self._unsigned)).cancel()
        try:
            done, _ = await asyncio.wait((coming,), timeout=UNSIGNED_S)
            return coming.result() if done and not coming.cancelled() else None
        finally:
            del self._unsigned[coming]
            coming.cancel()


async def _chained(first: SignedRequest, rest: AsyncIterator[SignedRequest]) -> AsyncIterator[SignedRequest]:
    yield first
    async for request in rest:
        yield request

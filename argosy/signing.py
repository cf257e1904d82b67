"""Signed calls between our own processes: HMAC-SHA256 over method, time and the digest of the message.

A signature says that the caller holds the shared secret, that it meant this method and these bytes, and that it did
so within SIGNING_SKEW_S of now. It does not keep a call secret (TLS does), and within the skew the same call may be
played again: what is signed must be safe to repeat.

Units: times are whole Unix seconds.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, SettingError

log = structlog.get_logger()

TIME_KEY: Final = "argosy-time"
SIGNATURE_KEY: Final = "argosy-signature"
SECRET_FILE_NAME: Final = "signing-secret"  # noqa: S105 (a file name)


class Signature(NamedTuple):
    """What goes beside one message of a stream."""

    time_s: str
    signature: str


class SignatureError(ArgosyError):
    """The call is not signed, not by us, or not now."""

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


def sign(secret: bytes, method: str, message: bytes, now_s: int) -> tuple[tuple[str, str], ...]:
    """The metadata to send with one call. method: the full gRPC name, "/package.Service/Method"."""
    return ((TIME_KEY, str(now_s)), (SIGNATURE_KEY, _signature(secret, method, now_s, message)))


def verify(
    secret: bytes, method: str, message: bytes, metadata: Iterable[tuple[str, Any]], now_s: int, skew_s: float
) -> None:
    """Returns when the call was signed with the secret, for this method and message, within skew_s of now.

    Raises SignatureError. The comparison takes the same time whatever is wrong with the signature.
    """
    values = dict(metadata)
    signature, time_text = values.get(SIGNATURE_KEY), values.get(TIME_KEY)
    if not isinstance(signature, str) or not isinstance(time_text, str):
        raise SignatureError("the call is not signed")
    try:
        signed_at_s = int(time_text)
    except ValueError:
        raise SignatureError("the time of the signature is not a number") from None
    if not hmac.compare_digest(signature.encode(), _signature(secret, method, signed_at_s, message).encode()):
        raise SignatureError("the signature does not fit the call")
    if abs(now_s - signed_at_s) > skew_s:
        raise SignatureError(f"the call was signed {now_s - signed_at_s} s ago by this machine's clock")


def sign_message(secret: bytes, method: str, body: bytes, now_s: int) -> Signature:
    """The signature of one message of a stream: every message is signed for itself."""
    return Signature(str(now_s), _signature(secret, method, now_s, body))


def verify_message(secret: bytes, method: str, body: bytes, signature: Signature, now_s: int, skew_s: float) -> None:
    """As verify, for one message of a stream."""
    metadata = ((TIME_KEY, signature.time_s), (SIGNATURE_KEY, signature.signature))
    verify(secret, method, body, metadata, now_s, skew_s)


def _signature(secret: bytes, method: str, signed_at_s: int, message: bytes) -> str:
    text = f"{method}\n{signed_at_s}\n{hashlib.sha256(message).hexdigest()}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


class VerifyCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Answers UNAUTHENTICATED to everything that is not signed, and says so; the servicer never sees it.

    A unary call is signed in its metadata: its bytes are checked as they came, not a message encoded again, so an older
    callee verifies a newer caller. The messages of a stream in both directions are envelopes (body, time_s, signature),
    each signed for itself; the first that is not ends the stream. Other kinds of calls there are none.
    """

    def __init__(self, secret: bytes, skew_s: float, clock: Clock) -> None:
        self._secret = secret
        self._skew_s = skew_s
        self._clock = clock

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        if handler.stream_stream is not None:
            return self._of_messages(handler, method)
        if handler.unary_unary is None:
            raise NotImplementedError(f"{method}: calls of this kind cannot be verified")
        return self._of_call(handler, method, handler_call_details.invocation_metadata)

    @property
    def _now_s(self) -> int:
        return self._clock.unix_ms() // 1000

    def _of_call(self, handler: Any, method: str, metadata: Any) -> grpc.RpcMethodHandler:
        async def answer(message: bytes, context: Any) -> Any:
            try:
                verify(self._secret, method, message, metadata, self._now_s, self._skew_s)
            except SignatureError as error:
                await _refuse(method, error, context)
            return await handler.unary_unary(handler.request_deserializer(message), context)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _of_messages(self, handler: Any, method: str) -> grpc.RpcMethodHandler:
        async def verified(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for message in messages:
                signature = Signature(message.time_s, message.signature)
                verify_message(self._secret, method, message.body, signature, self._now_s, self._skew_s)
                yield message

        async def answer(messages: AsyncIterator[Any], context: Any) -> None:
            try:
                await handler.stream_stream(verified(messages), context)
            except SignatureError as error:
                await _refuse(method, error, context)

        return grpc.stream_stream_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


async def _refuse(method: str, error: SignatureError, context: Any) -> None:
    telemetry.CALLS_REFUSED.inc()
    log.warning(telemetry.CALL_REFUSED, method=method, caller=context.peer(), error=str(error))
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))

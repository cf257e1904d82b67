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
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

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


def _signature(secret: bytes, method: str, signed_at_s: int, message: bytes) -> str:
    text = f"{method}\n{signed_at_s}\n{hashlib.sha256(message).hexdigest()}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


class VerifyCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Answers UNAUTHENTICATED to every unary call that is not signed, and says so; the servicer never sees one.

    It checks the bytes as they came, not a message encoded again, so an older callee verifies a newer caller.
    """

    def __init__(self, secret: bytes, skew_s: float, clock: Clock) -> None:
        self._secret = secret
        self._skew_s = skew_s
        self._clock = clock

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata

        async def answer(message: bytes, context: Any) -> Any:
            try:
                verify(self._secret, method, message, metadata, self._clock.unix_ms() // 1000, self._skew_s)
            except SignatureError as error:
                telemetry.CALLS_REFUSED.inc()
                log.warning(telemetry.CALL_REFUSED, method=method, caller=context.peer(), error=str(error))
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            return await handler.unary_unary(handler.request_deserializer(message), context)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

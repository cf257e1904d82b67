"""The callee's side of calls between our own processes: what is not signed for this process, now, is not heard."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

import grpc
import grpc.aio
import structlog

from argosy import telemetry
from argosy.signing import (
    NONCE_HEADER,
    WORKER_HEADER,
    SignatureError,
    Signer,
    Verifier,
    caller_nonce_of,
    nonce,
    stream_keys,
)

log = structlog.get_logger()

UNSIGNED_MAX: Final = 256
UNSIGNED_S: Final = 5.0

_Opened = tuple[AsyncIterator[Any], "_SigningContext"]


class VerifyCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Answers UNAUTHENTICATED to everything that is not signed, and says so; a servicer sees the messages alone.

    Every call is a stream in both directions; the first message that does not fit ends it. Whoever cannot prove to be
    one of us is refused before anything else, and takes no room from others. A call reaches its servicer with its first
    message, which a recorded proof does not have: of calls that wait for theirs UNSIGNED_MAX are kept, and for
    UNSIGNED_S; one too many ends the oldest at once, and no two have the same nonce.
    """

    def __init__(self, key: bytes, worker_id: uuid.UUID) -> None:
        """key: Keys.calls; worker_id: who is called here."""
        self._key = key
        self._worker_id = worker_id.bytes
        # Calls that wait for their first message, by the caller's nonce, the oldest first. What is taken out is ended.
        self._unsigned: dict[bytes, asyncio.Future[Any]] = {}

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
            try:
                caller_nonce = caller_nonce_of(dict(context.invocation_metadata() or ()), self._key, method)
                if caller_nonce in self._unsigned:
                    raise SignatureError("another call began with the same nonce")
                opening = self._open(method, caller_nonce, handler, messages, context)
                if (opened := await self._in_time(caller_nonce, opening)) is None:
                    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "nothing signed came in time")
                    return
                await handler.stream_stream(*opened)
            except SignatureError as error:
                telemetry.CALLS_REFUSED.inc()
                log.warning(telemetry.CALL_REFUSED, method=method, caller=context.peer(), error=str(error))
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))

        return grpc.stream_stream_rpc_method_handler(answer)

    async def _open(
        self, method: str, caller_nonce: bytes, handler: Any, messages: AsyncIterator[bytes], context: Any
    ) -> _Opened | None:
        """What a servicer is given, once the first message has come; None: the caller went away. Raises
        SignatureError.
        """
        callee_nonce = nonce()
        keys = stream_keys(self._key, method, self._worker_id, caller_nonce, callee_nonce)
        await context.send_initial_metadata(((NONCE_HEADER, callee_nonce), (WORKER_HEADER, self._worker_id)))
        requests = _bodies(messages, Verifier(keys.requests), handler.request_deserializer)
        first = await anext(requests, None)
        if first is None:
            return None
        return _chained(first, requests), _SigningContext(context, Signer(keys.responses), handler.response_serializer)

    async def _in_time(self, caller_nonce: bytes, opening: Coroutine[Any, Any, _Opened | None]) -> _Opened | None:
        """None: it took too long, or there were too many. Raises what it raises."""
        coming = asyncio.ensure_future(opening)
        while len(self._unsigned) >= UNSIGNED_MAX:
            # Taken out here and not when it has ended: many may come before that, and each ends another one.
            self._unsigned.pop(next(iter(self._unsigned))).cancel()
        self._unsigned[caller_nonce] = coming
        try:
            done, _ = await asyncio.wait((coming,), timeout=UNSIGNED_S)
            return coming.result() if done and not coming.cancelled() else None
        finally:
            if self._unsigned.get(caller_nonce) is coming:
                del self._unsigned[caller_nonce]
            coming.cancel()


class _SigningContext:
    """A servicer's context whose messages are signed. One task writes at a time."""

    def __init__(self, context: Any, signer: Signer, encode: Callable[[Any], bytes]) -> None:
        self._context = context
        self._signer = signer
        self._encode = encode

    async def write(self, message: Any) -> None:
        await self._context.write(self._signer.sign(self._encode(message)))

    async def abort(self, code: Any, details: str) -> None:
        await self._context.abort(code, details)

    def cancelled(self) -> bool:
        return bool(self._context.cancelled())


async def _bodies(
    messages: AsyncIterator[bytes], verifier: Verifier, decode: Callable[[bytes], Any]
) -> AsyncIterator[Any]:
    async for message in messages:
        yield decode(verifier.body_of(message))


async def _chained(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for request in rest:
        yield request

"""The callee's side of calls between Argosy's processes: it drops every message that is not signed for this stream."""

import asyncio
import contextlib
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import grpc
import grpc.aio
import structlog

from argosy import telemetry
from argosy.rpc.signing import (
    NONCE_HEADER,
    WORKER_HEADER,
    SignatureError,
    Signer,
    StreamKeys,
    Verifier,
    caller_nonce_of,
    nonce,
    stream_keys,
)

log = structlog.get_logger()


class SilentBounds(NamedTuple):
    """Bounds for calls that have shown a proof of the secret, but have not sent their first message yet."""

    calls_max: int
    timeout_s: float


class VerifyCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Verifies signatures before the servicer sees a message. It logs a call that is not signed, and ends it with
    UNAUTHENTICATED.

    On the wire every call is a stream in both directions, and the first message that is not valid ends it. A servicer
    sees the messages as its method's kind has them (`_serve`). A call without a proof of the secret is refused before
    anything else, and takes no room from others. An attacker that replays a recorded
    proof cannot sign a first message, and only that brings a call to its servicer. Calls that wait for their first
    message are bounded (RPC_SILENT_CALLS_MAX, RPC_SILENT_S): one too many ends the oldest at once, and no two of them
    may have the same nonce.
    """

    def __init__(self, key: bytes, worker_id: uuid.UUID, bounds: SilentBounds, previous: bytes | None = None) -> None:
        """key: Keys.calls. worker_id: this worker's id, which callers must mean. previous: a key that callers may still
        have.
        """
        self._keys = (key,) if previous is None else (key, previous)
        self._worker_id = worker_id.bytes
        self._bounds = bounds
        # The calls that wait for their first message, by the caller's nonce, the oldest first. Setting a future ends
        # one.
        self._unsigned: dict[bytes, asyncio.Future[None]] = {}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None

        async def answer(messages: AsyncIterator[bytes], context: Any) -> None:
            try:
                metadata = dict(context.invocation_metadata() or ())
                caller_nonce, key = caller_nonce_of(metadata, self._keys, method)
                with self._waiting(caller_nonce) as is_over:
                    keys = await self._greet(key, method, caller_nonce, context)
                    requests = _bodies(messages, Verifier(keys.requests), handler.request_deserializer)
                    first = await _first(requests, is_over, self._bounds.timeout_s)
                if first is None:
                    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "nothing signed came in time")
                    return
                await _serve(handler, first, requests, _SigningContext(context, Signer(keys.responses), handler))
            except SignatureError as error:
                telemetry.CALLS_REFUSED.inc()
                log.warning(telemetry.CALL_REFUSED, method=method, caller=context.peer(), error=str(error))
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))

        return grpc.stream_stream_rpc_method_handler(answer)

    async def _greet(self, key: bytes, method: str, caller_nonce: bytes, context: Any) -> StreamKeys:
        """Send this worker's id and a challenge; return the stream's keys. Must not be cancelled: while gRPC sends
        initial metadata it can send no status, and the call would stay open.
        """
        callee_nonce = nonce()
        await context.send_initial_metadata(((NONCE_HEADER, callee_nonce), (WORKER_HEADER, self._worker_id)))
        return stream_keys(key, method, self._worker_id, caller_nonce, callee_nonce)

    @contextlib.contextmanager
    def _waiting(self, caller_nonce: bytes) -> Iterator[asyncio.Future[None]]:
        """Hold a place among the calls that wait for their first message. The future is done when a newer call has
        taken the place. Raises SignatureError when another call with this nonce holds one.
        """
        if caller_nonce in self._unsigned:
            raise SignatureError("another call began with the same nonce")
        while len(self._unsigned) >= self._bounds.calls_max:
            # Remove the oldest here, not when it has ended: many calls may come before that, each must end another one.
            self._unsigned.pop(next(iter(self._unsigned))).set_result(None)
        is_over = self._unsigned[caller_nonce] = asyncio.get_running_loop().create_future()
        try:
            yield is_over
        finally:
            if self._unsigned.get(caller_nonce) is is_over:
                del self._unsigned[caller_nonce]


async def _first(requests: AsyncIterator[Any], is_over: asyncio.Future[None], timeout_s: float) -> Any:
    """Return the first message, or None when the stream ended, its place was taken, or none came within timeout_s.
    Raises SignatureError.
    """
    coming = asyncio.ensure_future(anext(requests, None))
    try:
        await asyncio.wait((coming, is_over), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        coming.cancel()


class _SigningContext:
    """A servicer's context that signs the messages it writes. One task may write at a time. handler: of the method."""

    def __init__(self, context: Any, signer: Signer, handler: grpc.RpcMethodHandler) -> None:
        self._context = context
        self._signer = signer
        self._handler = handler

    async def write(self, message: Any) -> None:
        await self._context.write(self._signer.sign(self._handler.response_serializer(message)))

    async def abort(self, code: Any, details: str) -> None:
        await self._context.abort(code, details)

    def cancelled(self) -> bool:
        return bool(self._context.cancelled())


async def _serve(handler: Any, first: Any, rest: AsyncIterator[Any], context: _SigningContext) -> None:
    """Run a servicer's method: with its one request, or with the requests as they come; and write its one answer, those
    that it yields, or those that it writes itself.

    A method with one request begins when that has come. Nothing is read after it: a second message is not believed, and
    changes nothing. That the caller has ended its requests is not signed (see argosy/rpc/signing.py), so a method with
    a stream of them must not take its end to mean that all of them have come.
    """
    kind = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream
    answers = kind(_chained(first, rest) if handler.request_streaming else first, context)
    if inspect.isasyncgen(answers):
        async with contextlib.aclosing(answers):
            async for answer in answers:
                await context.write(answer)
        return
    answer = await answers
    if not handler.response_streaming:
        await context.write(answer)


async def _bodies(
    messages: AsyncIterator[bytes], verifier: Verifier, decode: Callable[[bytes], Any]
) -> AsyncIterator[Any]:
    async for message in messages:
        yield decode(verifier.body_of(message))


async def _chained(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for request in rest:
        yield request

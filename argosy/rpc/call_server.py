"""The callee's side of signed calls (argosy/rpc/call_signing.py): servicers see no message that nobody signed for them.

A call is refused by its metadata, before any message of it is read, when no process of the fleet opened it, when it is
stale, or when it is meant for another callee; a call with a large request also when there is no room (call_room.py).

gRPC's health and reflection are not signed: load balancers and people's tools have no key, and all that these tell is
whether this process serves and what proto/ says. They have a bound of their own, so that they take no room from others.
"""

import contextlib
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    GraphInputError,
    GraphTooLargeError,
    InternalError,
    WrongOwnerError,
)
from argosy.rpc import refusals
from argosy.rpc.call_messages import only_request, requests_of, write, write_last
from argosy.rpc.call_room import CallRoom, Place
from argosy.rpc.call_signing import (
    ANSWERS,
    CHALLENGE_HEADER,
    REFUSAL,
    REQUESTS,
    SUFFIX_SIZE_BYTES,
    Codes,
    challenge,
    opening_of,
    size_of,
)
from argosy.rpc.exchange import stop
from argosy.rpc.refusals import STALE, Refusal
from argosy.rpc.signing import SignatureError

log = structlog.get_logger()

UNSIGNED_CALLS_MAX: Final = 64  # a health watch of each of several balancers, and a few people


class CallBounds(NamedTuple):
    """Bounds of signed calls. calls_max: at once. age_max_s: how far a call's time may be from this process's clock.
    message_size_bytes_max: of one message, with its code. requests_size_bytes_max: of the requests of all calls under
    way.
    """

    calls_max: int
    age_max_s: float
    message_size_bytes_max: int
    requests_size_bytes_max: int


class Addressee(NamedTuple):
    """Whom calls to this server are meant for. process_id: as callers name it. for_anybody: the methods that may be
    called without knowing it. unsigned: the full names of services.
    """

    process_id: uuid.UUID
    for_anybody: Collection[str] = ()
    unsigned: Collection[str] = ()


class SignedCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Verifies requests, signs answers, and makes signed refusals of the errors that servicers raise."""

    def __init__(
        self, key: bytes, addressee: Addressee, clock: Clock, bounds: CallBounds, previous: bytes | None = None
    ) -> None:
        """key: the fleet's, for such calls: Keys.shards. previous: one that callers may still have. A call is answered
        under the key that its caller has.
        """
        self._keys = (key,) if previous is None else (key, previous)
        self._addressee = addressee
        self._clock = clock
        self._bounds = bounds
        self._room = CallRoom(bounds.calls_max, bounds.requests_size_bytes_max)
        self._unsigned_calls = 0

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None:
            return None
        if method[1:].partition("/")[0] in self._addressee.unsigned:
            return self._counted(handler)
        try:
            metadata = dict(handler_call_details.invocation_metadata or ())
            opening, key = opening_of(metadata, self._keys, method)
            size_bytes = size_of(metadata, key)
        except SignatureError as error:
            return _aborting(method, str(error))
        now_ms = self._clock.unix_ms()
        if opening.is_stale(now_ms, self._bounds.age_max_s):
            apart_s = (opening.at_ms - now_ms) / 1_000
            return _refusing(
                Refusal(STALE, f"the caller's clock is {apart_s:+.0f} s from this one", now_ms=now_ms), key
            )
        if opening.callee_id != self._addressee.process_id and method not in self._addressee.for_anybody:
            wrong = WrongOwnerError(f"here is {self._addressee.process_id}, and {opening.callee_id} is meant")
            return _refusing(refusals.refusal_of(wrong), key)
        return self._verified(handler, key, method, size_bytes)

    def _verified(self, handler: Any, key: bytes, method: str, size_bytes: int) -> grpc.RpcMethodHandler:
        """Return a handler that takes and gives signed bytes. size_bytes: of a large request, as its caller says. A
        method with streams in both directions is unknown here: no service has one.
        """
        if handler.request_streaming:

            async def answer_all(messages: AsyncIterator[bytes], context: Any) -> None:
                given = challenge()
                await context.send_initial_metadata(((CHALLENGE_HEADER, given),))
                async with self._guarded(key, method, context, messages) as place:
                    requests = requests_of(messages, Codes(key, REQUESTS, given), handler.request_deserializer, place)
                    answer = await handler.stream_unary(requests, context)
                    await write_last(self._signed(Codes(key, ANSWERS, given), handler, answer), context, place)

            return grpc.stream_stream_rpc_method_handler(answer_all)

        async def reply(message: bytes, context: Any) -> bytes:
            request = handler.request_deserializer(Codes(key, REQUESTS).body_of(message))
            return self._signed(Codes(key, ANSWERS), handler, await handler.unary_unary(request, context))

        async def write_replies(message: bytes, context: Any, place: Place) -> None:
            request = handler.request_deserializer(Codes(key, REQUESTS).body_of(message))
            codes = Codes(key, ANSWERS)
            async with contextlib.aclosing(handler.unary_stream(request, context)) as answers:
                async for answer in answers:
                    await write(self._signed(codes, handler, answer), context)
            await write_last(codes.sign_end(), context, place)

        async def answer(message: bytes, context: Any) -> bytes | None:
            async with self._guarded(key, method, context) as place:
                place.hold(len(message))
                return await reply(message, context)

        async def stream(message: bytes, context: Any) -> None:
            async with self._guarded(key, method, context) as place:
                place.hold(len(message))
                await write_replies(message, context, place)

        async def take(messages: AsyncIterator[bytes], context: Any) -> None:
            async with self._guarded(key, method, context) as place:
                self._check_size("a request", size_bytes)
                place.hold(size_bytes)
                message = await only_request(messages, size_bytes)
                if handler.response_streaming:
                    await write_replies(message, context, place)
                else:
                    await write_last(await reply(message, context), context, place)

        if size_bytes:  # gRPC would read the request before the handler is asked
            return grpc.stream_stream_rpc_method_handler(take)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(answer)

    def _signed(self, codes: Codes, handler: Any, answer: Any) -> bytes:
        body: bytes = handler.response_serializer(answer)
        self._check_size("an answer", len(body) + SUFFIX_SIZE_BYTES)
        return codes.sign(body)

    def _check_size(self, what: str, size_bytes: int) -> None:
        if size_bytes > self._bounds.message_size_bytes_max:
            raise GraphTooLargeError(
                f"{what} of {size_bytes} bytes is over {self._bounds.message_size_bytes_max}: ask for less at once"
            )

    @contextlib.asynccontextmanager
    async def _guarded(
        self, key: bytes, method: str, context: Any, messages: AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[Place]:
        """Give the call its place, and end it as its error says. messages: a stream of requests."""
        begun_s = self._clock.monotonic_s()
        code = "cancelled"
        try:
            with self._room.call() as place:
                try:
                    yield place
                finally:
                    code = "ok" if place.is_answered else code
            code = "ok"
        except SignatureError as error:
            code = error.code
            await _abort(method, str(error), context)
        except Exception as error:
            refusal = self._refusal_of(error, method)
            code = refusal.code
            if messages is not None:
                await stop(messages, context)
            await _refuse(refusal, key, context)
        finally:
            name = method.rpartition("/")[2]
            telemetry.CALLS_S.labels(name, code).observe(self._clock.monotonic_s() - begun_s)

    def _refusal_of(self, error: Exception, method: str) -> Refusal:
        if isinstance(error, DecodeError):
            error = GraphInputError("the request is of another version")
        if not isinstance(error, ArgosyError):
            log.error(telemetry.CALL_FAILED, method=method, exc_info=error)
            error = InternalError(f"{type(error).__name__}: see the log of the shard")
        return refusals.refusal_of(error)

    def _counted(self, handler: Any) -> Any:
        """Return a handler of an unsigned service that counts its calls."""
        name = next(each for each in _KINDS if getattr(handler, each) is not None)
        behavior = getattr(handler, name)

        async def call(request: Any, context: Any) -> Any:
            if self._unsigned_calls >= UNSIGNED_CALLS_MAX:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls that are not signed")
            self._unsigned_calls += 1
            try:
                if not inspect.isasyncgenfunction(behavior):
                    return await behavior(request, context)
                async for answer in behavior(request, context):
                    await context.write(answer)
            finally:
                self._unsigned_calls -= 1

        return handler._replace(**{name: call})


_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def _refusing(refusal: Refusal, key: bytes) -> grpc.RpcMethodHandler:
    """Return a handler that refuses a call without reading it."""

    async def refuse(_: Any, context: Any) -> None:
        await _refuse(refusal, key, context)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _aborting(method: str, why: str) -> grpc.RpcMethodHandler:
    async def abort(_: Any, context: Any) -> None:
        await _abort(method, why, context)

    return grpc.stream_stream_rpc_method_handler(abort)


async def _refuse(refusal: Refusal, key: bytes, context: Any) -> None:
    signed = Codes(key, REFUSAL).sign(refusals.encode(refusal))
    await context.abort(
        refusals.status_of(refusal), refusals.details_of(refusal), refusals.metadata_of(refusal, signed)
    )


async def _abort(method: str, why: str, context: Any) -> None:
    """End a call of which nobody can say who made it."""
    telemetry.CALLS_REFUSED.inc()
    log.warning(telemetry.CALL_REFUSED, method=method, caller=context.peer(), error=why)
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, why)

"""The caller's side of signed calls (argosy/rpc/call_signing.py), over one channel to one callee.

What is believed: an answer, an end of answers, and an error, if the callee that is meant signed it for this very call.
Of what is left, such as a broken connection, a caller knows only whether it can have changed something.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any, Final, NamedTuple, NoReturn

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    GraphTooLargeError,
    OutcomeUnknownError,
    ShardSilentError,
    ShardUnavailableError,
)
from argosy.rpc import refusals
from argosy.rpc.call_signing import (
    ANSWERS,
    CALL_HEADER,
    CHALLENGE_HEADER,
    REFUSAL,
    REFUSAL_HEADER,
    REQUESTS,
    SAID_BYTES,
    SIZE_HEADER,
    SUFFIX_SIZE_BYTES,
    Codes,
    Opening,
    call_key,
    header_of,
    size_header_of,
)
from argosy.rpc.channel import open_channel
from argosy.rpc.exchange import exchange
from argosy.rpc.peer import path_of
from argosy.rpc.refusals import STALE
from argosy.rpc.signing import SignatureError
from argosy.rpc.tls import Tls

log = structlog.get_logger()

# A callee that does not answer for so long while a call waits for it is gone.
KEEPALIVE_OPTIONS: Final = (("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5_000))
_OPTIONS: Final = (
    *KEEPALIVE_OPTIONS,
    ("grpc.min_reconnect_backoff_ms", 2_000),  # how long a try to connect may take: callers have deadlines of seconds
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),  # until the next one: turns wait for a callee that comes back
    # What is tried again is decided above.
    ("grpc.enable_retries", 0),
)
# What gRPC says of a call for which there was no connection: it was not sent.
_NOT_SENT: Final = "failed to connect"
_TOO_LARGE: Final = "message larger than max"


class Method(NamedTuple):
    """A method to call. descriptor: its name and messages. writes: it changes something."""

    descriptor: MethodDescriptor
    writes: bool


class _StaleError(Exception):
    """The callee's clock is another one than the caller thought."""


class Caller:
    """Calls one callee. It is used, and closed, on one event loop. A broken connection is made again by the next call.

    Methods raise what the callee raised, ShardUnavailableError when a call certainly changed nothing,
    OutcomeUnknownError when it may have, and ShardSilentError at the deadline.
    """

    def __init__(
        self,
        target: str,
        key: bytes,
        clock: Clock,
        *,
        message_size_bytes_max: int,
        tls: Tls | None = None,
    ) -> None:
        """target: host:port or unix:PATH. key: Keys.shards. message_size_bytes_max: of a request, and of an answer."""
        self._target = target
        self._key = key
        self._clock = clock
        self._size_bytes_max = message_size_bytes_max
        limits = (
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", message_size_bytes_max),
        )
        self._channel = open_channel(target, (*_OPTIONS, *limits), tls)
        self._is_closed = False
        # How far the callee's clock is ahead of this one, as the callee last said.
        self._ahead_ms = 0

    async def ask(self, method: Method, callee_id: uuid.UUID, request: Any, deadline_s: float) -> Any:
        """Call a method with one request and one answer. callee_id: whom the call means."""
        body, path = self._encoded(request), _path_of(method.descriptor)
        for call in self._tries(path, callee_id, deadline_s, len(body) + SUFFIX_SIZE_BYTES):
            message = Codes(call.key, REQUESTS).sign(body)
            with self._believed(call, method):
                answer = await self._channel.unary_unary(path)(message, timeout=call.timeout_s, metadata=call.metadata)
                return _class_of(method.descriptor).FromString(Codes(call.key, ANSWERS).body_of(answer))
        raise AssertionError  # the last try returns or raises

    async def read(self, method: Method, callee_id: uuid.UUID, request: Any, deadline_s: float) -> AsyncIterator[Any]:
        """Call a method with one request and a stream of answers: yield them. Close it to end the call early."""
        body, path = self._encoded(request), _path_of(method.descriptor)
        answer = _class_of(method.descriptor)
        for call in self._tries(path, callee_id, deadline_s, len(body) + SUFFIX_SIZE_BYTES):
            codes = Codes(call.key, ANSWERS)
            message = Codes(call.key, REQUESTS).sign(body)
            stream = self._channel.unary_stream(path)(message, timeout=call.timeout_s, metadata=call.metadata)
            try:
                while True:
                    with self._believed(call, method):
                        message = await stream.read()
                        if message is grpc.aio.EOF:
                            raise SignatureError("the answers end before their end")
                        if codes.is_end(message):
                            return
                        decoded = answer.FromString(codes.body_of(message))
                    if call.is_stale:
                        break
                    yield decoded
            finally:
                stream.cancel()

    async def send(self, method: Method, callee_id: uuid.UUID, requests: AsyncIterator[Any], deadline_s: float) -> Any:
        """Call a method with a stream of requests and one answer. Requests are taken once the callee has taken the
        call, and no faster than it reads them.
        """
        path = _path_of(method.descriptor)
        for call in self._tries(path, callee_id, deadline_s):
            stream = self._channel.stream_stream(path)(timeout=call.timeout_s, metadata=call.metadata)
            try:
                with self._believed(call, method):
                    given = dict(await stream.initial_metadata() or ()).get(CHALLENGE_HEADER)
                    if not isinstance(given, bytes):
                        await stream.read()  # raises what the callee refused the call with
                        raise SignatureError("the callee gave no challenge")
                    message = await exchange(stream, self._signed(requests, Codes(call.key, REQUESTS, given)))
                    if message is grpc.aio.EOF:
                        raise SignatureError("the callee gave no answer")
                    body = Codes(call.key, ANSWERS, given).body_of(message)
                    return _class_of(method.descriptor).FromString(body)
            finally:
                stream.cancel()
        raise AssertionError  # the last try returns or raises

    def now_ms(self) -> int:
        """Return the milliseconds since 1970 by the callee's clock, as far as it is known."""
        return self._clock.unix_ms() + self._ahead_ms

    async def close(self) -> None:
        """Close the channel. Calls under way end as if the connection had broken."""
        self._is_closed = True
        await self._channel.close()

    async def _signed(self, requests: AsyncIterator[Any], codes: Codes) -> AsyncIterator[bytes]:
        async for request in requests:
            yield codes.sign(self._encoded(request))
        yield codes.sign_end()

    def _encoded(self, request: Any) -> bytes:
        body: bytes = request.SerializeToString()
        if len(body) + SUFFIX_SIZE_BYTES > self._size_bytes_max:
            raise GraphTooLargeError(f"{len(body)} bytes are more than a call may have ({self._size_bytes_max})")
        return body

    def _tries(self, path: str, callee_id: uuid.UUID, deadline_s: float, size_bytes: int = 0) -> Iterator["_Call"]:
        """Yield a call, and, if it turns out to be stale for the callee, another one by the callee's clock. size_bytes:
        of its request, with the code; 0: it has several.
        """
        ends_s = self._clock.monotonic_s() + deadline_s
        for is_last in (False, True):
            if self._is_closed:
                raise ShardUnavailableError(f"{self._target}: the connection was closed here")
            opening = Opening.of_now(callee_id, self.now_ms())
            key = call_key(self._key, path, opening)
            metadata: tuple[tuple[str, bytes], ...] = ((CALL_HEADER, header_of(opening, key)),)
            if size_bytes > SAID_BYTES:
                metadata += ((SIZE_HEADER, size_header_of(size_bytes, key)),)
            call = _Call(key, metadata, ends_s - self._clock.monotonic_s(), is_last)
            yield call
            if not call.is_stale:
                return

    @contextlib.contextmanager
    def _believed(self, call: "_Call", method: Method) -> Iterator[None]:
        """Raise what the end of a call means; of a call that was stale, and is not the last try, nothing."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            try:
                self._raise_failure(error, call, method)
            except _StaleError:
                call.is_stale = True
        except SignatureError as error:
            telemetry.CALLS_REFUSED.inc()
            log.warning(telemetry.CALL_REFUSED, method=method.descriptor.name, callee=self._target, error=str(error))
            raise self._lost(method, f"the answer is not the shard's: {error}") from error
        except asyncio.CancelledError as error:
            # gRPC cancels those that wait for a channel that is closed: they were not cancelled themselves.
            task = asyncio.current_task()
            if self._is_closed and task is not None and not task.cancelling():
                raise self._lost(method, "the connection was closed") from error
            raise

    def _raise_failure(self, error: grpc.aio.AioRpcError, call: "_Call", method: Method) -> NoReturn:
        signed = dict(error.trailing_metadata() or ()).get(REFUSAL_HEADER)
        if isinstance(signed, bytes):
            try:
                refusal = refusals.decode(Codes(call.key, REFUSAL).body_of(signed))
            except SignatureError as forged:
                raise self._lost(method, f"the refusal is not the shard's: {forged}") from forged
            if refusal.code != STALE:
                raise refusals.error_of(refusal) from error
            self._ahead_ms = refusal.now_ms - self._clock.unix_ms()
            if call.is_last:
                raise ShardUnavailableError(f"{self._target}: {refusal.message}") from error
            raise _StaleError
        status, details = error.code(), error.details() or ""
        if status is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise ShardSilentError("the shard did not answer in time") from error
        if _TOO_LARGE in details:
            raise GraphTooLargeError(f"a message to or from the shard is over its bound: {details}") from error
        if status is grpc.StatusCode.UNIMPLEMENTED:
            name = method.descriptor.name
            raise ShardUnavailableError(f"{self._target}: it is of another version, and knows no {name}") from error
        if status in _REFUSED or _NOT_SENT in details:
            raise ShardUnavailableError(f"{self._target}: {details}") from error
        raise self._lost(method, details) from error

    def _lost(self, method: Method, why: str) -> ArgosyError:
        kind = OutcomeUnknownError if method.writes else ShardUnavailableError
        return kind(f"{self._target}: {why}")


class _Call:
    """One try of a call. is_stale: it was refused for the caller's clock."""

    def __init__(self, key: bytes, metadata: tuple[tuple[str, bytes], ...], timeout_s: float, is_last: bool) -> None:
        self.key = key
        self.metadata = metadata
        self.timeout_s = timeout_s
        self.is_last = is_last
        self.is_stale = False


# Statuses of a callee that did not begin a call: it has another secret, is of another version, or has no room. They are
# not signed. Whoever forges one for a write makes its caller send it again, under its key.
_REFUSED: Final = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@cache
def _path_of(method: MethodDescriptor) -> str:
    return path_of(method)


@cache
def _class_of(method: MethodDescriptor) -> Any:
    return GetMessageClass(method.output_type)

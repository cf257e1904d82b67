"""The HTTP/1.1 protocol of a gateway, with bounds that hold before any other code sees a request.

uvicorn reads a request's head, its trailers and the requests pipelined behind it without a bound on size, number or
time. This is uvicorn's protocol with bounds, each of them a setting:

- 431: a head (address and fields, and later on its trailers) has more than GATEWAY_HEAD_SIZE_BYTES_MAX bytes or
  GATEWAY_HEAD_FIELDS_MAX fields. Trailers are read and dropped, so they change nothing that the head decided.
- 400: the request is no HTTP/1.1, or its head could be understood in two ways (http_head.py).
- 408: a head is not complete within GATEWAY_HEAD_TIMEOUT_S. A client that sent nothing is closed without an answer.
- GATEWAY_PIPELINE_MAX requests may wait behind the one that is being answered. When a client sends more, the gateway
  answers those, reads no more, and closes the connection.
- A client takes the bytes that wait for it within GATEWAY_WRITE_TIMEOUT_S, or the connection is cut.
- 503: there are GATEWAY_CONNECTIONS_MAX connections, and none is idle. Else the one idle for longest makes room.

The parser gets bytes in slices, so what it holds before a callback (half a field) is at the most one slice more than
the bound of a head. When a client disconnects, every request of its connection learns of it, not only the last one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from argosy import telemetry
from argosy.config import Settings
from argosy.gateway.http_head import ambiguity
from argosy.gateway.http_refusal import refusal
from argosy.gateway.http_upgrade import reread
from argosy.gateway.problems import Problem

_SLICE_SIZE_BYTES: Final = 16_384  # see above: how far the bound of a head may be passed
# A field costs this much besides its name and value: ": " and the end of its line.
_FIELD_SIZE_BYTES: Final = 4
# A refused client has this long to take the reason before the connection is closed; what it sends is dropped.
_LINGER_S: Final = 1.0


class HttpBounds(NamedTuple):
    """The bounds of one connection; the last two are bounds of the process."""

    head_size_bytes_max: int
    head_fields_max: int
    head_timeout_s: float
    pipeline_max: int
    write_timeout_s: float
    connections_max: int
    refused_max: int


def http_protocol(settings: Settings, connections_max: int) -> Callable[..., HttpToolsProtocol]:
    """Return the factory of the protocols of one server's connections, for uvicorn.Config(http=…).

    connections_max: how many connections this process may have, GATEWAY_CONNECTIONS_MAX or fewer (see server.py).
    """
    bounds = HttpBounds(
        settings.gateway_head_size_bytes_max,
        settings.gateway_head_fields_max,
        settings.gateway_head_timeout_s,
        settings.gateway_pipeline_max,
        settings.gateway_write_timeout_s,
        connections_max,
        settings.gateway_connections_refused_max,
    )
    idle: dict[BoundedHttpProtocol, None] = {}
    return partial(BoundedHttpProtocol, bounds, idle)  # other processes get it pickled: a class made here could not be


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. idle: the server's connections that wait for a request, the one that waits longest first."""

    def __init__(self, bounds: HttpBounds, idle: dict["BoundedHttpProtocol", None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._idle = idle
        self._is_refused = False
        self._is_in_head = False
        self._head_size_bytes = 0
        self._head_fields = 0
        # How many callbacks the parser has made, and how many bytes it got since the last one.
        self._told = 0
        self._silent_size_bytes = 0
        self._running: RequestResponseCycle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # A connection begins and ends

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections_max:
            self._make_room()
            if self._is_refused:
                return
        self._idle[self] = None
        self._arm_head_timer()

    def _make_room(self) -> None:
        longest = next(iter(self._idle), None)
        if longest is None:
            self._refuse("too_many_connections", f"{self._bounds.connections_max} clients are connected")
            if len(self.connections) > self._bounds.connections_max + self._bounds.refused_max:
                self.transport.abort()
            return
        del self._idle[longest]
        longest._disarm_head_timer()
        longest._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.pop(self, None)
        self._disarm_head_timer()
        self._disarm_write_timer()
        for cycle in (self._running, *(queued for queued, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    # A request comes in

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._idle.pop(self, None)
        for begin in range(0, len(data), _SLICE_SIZE_BYTES):
            self._feed(data if len(data) <= _SLICE_SIZE_BYTES else data[begin : begin + _SLICE_SIZE_BYTES])
            if self._is_refused or self.transport.is_closing():
                return
        if self._is_in_head or self.cycle is None or (self.cycle.response_complete and not self.pipeline):
            self._arm_head_timer()
        else:
            self._disarm_head_timer()

    def _feed(self, data: bytes) -> None:
        told = self._told
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse("invalid_http", "this is no HTTP/1.1 request")
            return
        self._silent_size_bytes = self._silent_size_bytes + len(data) if self._told == told else 0
        if self._silent_size_bytes > self._bounds.head_size_bytes_max:
            self._refuse("head_too_large", f"a field has more than {self._bounds.head_size_bytes_max} bytes")

    def _parse(self, data: bytes) -> None:
        while not self._is_refused:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as end:
                self.parser, head = reread(self, self.headers)
                data = head + data[end.args[0] :]

    def on_message_begin(self) -> None:
        self._told += 1
        self._is_in_head = True
        self._head_size_bytes = self._head_fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._told += 1
        if self._is_within(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._told += 1
        self._head_fields += 1
        if self._is_within(len(name) + len(value) + _FIELD_SIZE_BYTES) and self._is_in_head:
            super().on_header(name, value)

    def _is_within(self, size_bytes: int) -> bool:
        """Count bytes of a head or of trailers, and refuse the connection beyond a bound. Return whether it goes on."""
        bounds = self._bounds
        self._head_size_bytes += size_bytes
        if self._head_size_bytes > bounds.head_size_bytes_max:
            self._refuse("head_too_large", f"the head of the request has more than {bounds.head_size_bytes_max} bytes")
        elif self._head_fields > bounds.head_fields_max:
            self._refuse("head_too_large", f"the head of the request has more than {bounds.head_fields_max} fields")
        return not self._is_refused

    def on_headers_complete(self) -> None:
        self._told += 1
        self._is_in_head = False
        if self._is_refused:
            return
        if why := ambiguity(self.url, self.headers, self.parser.get_http_version()):
            self._refuse("invalid_http", why)
            return
        is_behind = self.cycle is not None and not self.cycle.response_complete
        if is_behind and len(self.pipeline) >= self._bounds.pipeline_max:
            self._refuse("rate_limited", f"{len(self.pipeline)} requests wait on this connection already")
            return
        try:
            super().on_headers_complete()
            if is_behind:
                self.flow.resume_reading()  # uvicorn paused it, and would not notice that the client is gone
        except (httptools.HttpParserError, ValueError):
            self._refuse("invalid_http", "the address cannot be read")

    def on_body(self, body: bytes) -> None:
        self._told += 1
        if not self._is_refused:
            super().on_body(body)

    def on_chunk_header(self) -> None:
        """Count the callback: a chunk of a body begins. Trailers follow the last chunk."""
        self._told += 1

    def on_message_complete(self) -> None:
        self._told += 1
        if not self._is_refused and not self.parser.should_upgrade():
            super().on_message_complete()

    # The request is answered

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()
            return
        if self.timeout_keep_alive_task is not None and not self._is_in_head:
            self._idle[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._disarm_write_timer()
        self._write_timer = self.loop.call_later(self._bounds.write_timeout_s, self._cut)

    def timeout_keep_alive_handler(self) -> None:
        self._end()

    def _end(self) -> None:
        """Close the connection once the client took what waits for it, or after GATEWAY_WRITE_TIMEOUT_S."""
        self.transport.close()
        if self._write_timer is None and self.transport.get_write_buffer_size():
            self._write_timer = self.loop.call_later(self._bounds.write_timeout_s, self._cut)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._disarm_write_timer()

    def _cut(self) -> None:
        """Cut the connection of a client that does not take what waits for it."""
        telemetry.CONNECTIONS_REFUSED.labels(why="write_timeout").inc()
        self.transport.abort()

    def _refuse(self, code: str, why: str) -> None:
        """Read no more from this connection. Answer the requests read before; without any, answer this problem."""
        if self._is_refused:
            return
        self._is_refused = True
        self._idle.pop(self, None)
        self._disarm_head_timer()
        telemetry.CONNECTIONS_REFUSED.labels(why=code).inc()
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()  # the rest of its body will not be read, and it would wait for that
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is not None and not last.response_complete:
            last.keep_alive = False  # its answer ends the connection
            if not last.more_body or last is not self._running or last.response_started:
                return
            last.disconnected = True  # the rest of its body will not be read: its route must not wait for it
            last.message_event.set()
        self.transport.write(refusal(Problem(code, why)))
        self.loop.call_later(_LINGER_S, self._end)

    def send_400_response(self, msg: str) -> None:
        self._refuse("invalid_http", msg)

    # Time

    def _arm_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._bounds.head_timeout_s, self._head_is_late)

    def _disarm_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _disarm_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_in_head or self._silent_size_bytes:
            self._refuse("request_timeout", f"the request's head did not come within {self._bounds.head_timeout_s:g} s")
        elif self._running is None or self._running.response_complete:
            self._end()  # the client sent nothing, or still sends a body that was answered already

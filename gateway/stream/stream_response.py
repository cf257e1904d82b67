"""The answer that sends one stream to one client.

It never runs ahead of the client: it asks for the next messages when the last ones have left this process. So a client
that does not read costs the server's send buffer, one batch, and the credit that the worker was given.
"""

import asyncio
from contextlib import aclosing
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from argosy.gateway.body import until_gone
from argosy.gateway.open_requests import OpenRequest, OpenRequests
from argosy.gateway.stream.sse import Format
from argosy.gateway.stream.stream import Stream
from argosy.gateway.stream.streams import Streams

_HEADERS: Final = {
    "cache-control": "no-store",
    # For proxies that collect an answer before they pass it on.
    "x-accel-buffering": "no",
}


class StreamResponse(Response):
    """A stream, or 204 when the client has everything and nothing more will come.

    Raises Problem or StoreUnavailableError before it sends anything.
    """

    def __init__(
        self, streams: Streams, open_requests: OpenRequests, tenant: str, stream: Stream, shape: Format
    ) -> None:
        super().__init__(None, 200, _HEADERS, shape.media_type)
        del self.headers["content-length"]
        self._streams = streams
        self._open_requests = open_requests
        self._tenant = tenant
        self._stream = stream
        self._shape = shape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._stream
        await self._streams.ask(self._tenant)
        with self._streams.opened(stream, self._tenant), self._open_requests.opened(scope) as opened:
            opened.over.add_done_callback(lambda _: stream.stop())
            if not await stream.begin():
                await Response(None, 204, {"cache-control": "no-store"})(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            gone = asyncio.ensure_future(until_gone(receive))
            gone.add_done_callback(lambda _: stream.stop())
            try:
                await self._send_all(send, opened)
            finally:
                gone.cancel()

    async def _send_all(self, send: Send, opened: OpenRequest) -> None:
        shape = self._shape
        await _send(send, shape.hello)
        async with aclosing(self._stream.messages()) as batches:
            async for messages in batches:
                await _send(send, shape.encode(messages) if messages else shape.heartbeat)
        if opened.problem is not None and not self._stream.is_over:
            await _send(send, shape.refusal(opened.problem))
        elif self._streams.is_draining and not self._stream.is_over:
            await _send(send, shape.farewell(self._streams.retry_ms()))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})

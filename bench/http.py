"""A keep-alive HTTP/1.1 client that uses little CPU, because its CPU counts: no pipelining, no redirects, no TLS."""

import asyncio
from collections import deque
from typing import NamedTuple, cast


class Answer(NamedTuple):
    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport is not an asyncio.Transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error or ConnectionResetError("the server closed the connection"))

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0 or self._waiter is None:
            return
        head = bytes(self._buffer[:head_end]).lower()
        at = head.find(b"content-length:")
        if head[9:12] == b"204":  # it has no body, and says nothing of its length
            body = b""
        elif at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < head_end + 4 + length:
                return
            body = bytes(self._buffer[head_end + 4 : head_end + 4 + length])
        else:
            if not self._buffer.endswith(b"0\r\n\r\n"):
                return
            body = _dechunk(bytes(self._buffer[head_end + 4 :]))
        self._buffer.clear()
        self._waiter.set_result(Answer(int(head[9:12]), body))

    async def send(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _dechunk(data: bytes) -> bytes:
    parts = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        parts.append(data[:length])
        data = data[length + 2 :]
    return b"".join(parts)


class HttpClient:
    """A client that keeps as many connections as it has requests at once."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: deque[_Connection] = deque()

    async def request(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        """Send a request. headers: whole lines, each with its \\r\\n. Raises OSError when the connection breaks."""
        connection = self._idle.pop() if self._idle else None
        if connection is None or not connection.is_open:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        try:
            answer = await connection.send(head.encode() + body)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

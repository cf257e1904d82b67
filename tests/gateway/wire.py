"""A connection to a gateway, byte by byte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.gateway.stream.conftest import Gateway
from tests.gateway.stream.conftest import serve as serve
from tests.gateway.test_processes import start as start

MIB = 1024 * 1024
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


class Wire:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self, within_s: float = 10.0) -> tuple[int, dict[str, Any] | bytes]:
        """The next answer: its status, and its body, decoded when it is JSON. (0, b""): closed without one."""
        async with asyncio.timeout(within_s):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""
            lines = head.decode().lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if line)
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
        return int(lines[0].split(" ")[1]), json.loads(body) if "json" in fields.get("content-type", "") else body

    async def is_closed(self, within_s: float = 10.0) -> bool:
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True


@asynccontextmanager
async def wire(gateway: Gateway) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


async def refusal(gateway: Gateway, *parts: bytes, stays: bool = False) -> tuple[int, str]:
    """Status and code of the answer to some bytes, after which the connection is closed. stays: the client says nothing
    of its own end, so the gateway gives it a second to take the answer.
    """
    async with wire(gateway) as client:
        for part in parts:
            await client.send(part)
        status, problem = await client.answer()
        if not stays:
            client.writer.write_eof()
        assert await client.is_closed()
    return status, problem["code"] if isinstance(problem, dict) else ""


POST = b"POST /v1/sessions/s/turns HTTP/1.1\r\nHost: localhost\r\n"

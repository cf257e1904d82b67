"""A TCP proxy that can be taken away and brought back: a server as one process alone may meet it."""

import asyncio
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Target(NamedTuple):
    """Where to forward to: host and port, or the socket at a path."""

    host: str
    port: int
    path: str = ""


def target_of(dsn: str) -> Target:
    """Of a Postgres: by its socket when the DSN names the folder."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    if "host" in query:
        return Target("", 0, f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
    return Target(parts.hostname or "127.0.0.1", parts.port or 5432)


class TcpProxy:
    """Forwards to one server, from a port of 127.0.0.1 that stays the same (port 0: a free one, from `allow` on).

    refuse: connections are cut and refused; hold: bytes no longer move; allow: both end. turn_to: what is connected is
    cut, and whoever comes then meets another server.
    """

    def __init__(self, target: Target, port: int = 0) -> None:
        self._target = target
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moving = asyncio.Event()
        self._moving.set()

    @property
    def port(self) -> int:
        return self._port

    async def allow(self) -> None:
        self._moving.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        self._cut()

    def hold(self) -> None:
        self._moving.clear()

    def turn_to(self, target: Target) -> None:
        self._target = target
        self._cut()

    async def close(self) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await self._connect()
        except OSError:  # the server is away: as if nobody listened
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for one, other in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._forward(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.path:
            return await asyncio.open_unix_connection(self._target.path)
        return await asyncio.open_connection(self._target.host, self._target.port)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._moving.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)


class PostgresProxy(TcpProxy):
    """In front of the Postgres that a DSN names; for TCP without a password."""

    def __init__(self, dsn: str) -> None:
        super().__init__(target_of(dsn))
        self._parts = urlsplit(dsn)

    @property
    def dsn(self) -> str:
        return f"postgresql://{self._parts.username}@127.0.0.1:{self.port}{self._parts.path}"

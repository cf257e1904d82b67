"""A client of event streams that uses little CPU, because its CPU counts: it notes when bytes came, no more."""

import asyncio
import re
import time
from collections.abc import Callable

# Seconds since 1970, as the workflow `bench_says` emits them.
_EMITTED = re.compile(rb"(\d{10}\.\d{6}) ")


class Listener(asyncio.Protocol):
    """One GET of a stream. delays_s: of each frame, from its emit to its arrival here.

    on_bytes gets all bytes, each time with the moment at which they came.
    """

    def __init__(self, path: str, on_bytes: Callable[[bytes, float], None] = lambda *_: None) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n".encode()
        self._on_bytes = on_bytes
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None
        self.delays_s: list[float] = []
        self.is_over = asyncio.Event()

    @classmethod
    async def open(cls, port: int, path: str, on_bytes: Callable[[bytes, float], None] = lambda *_: None) -> "Listener":
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: cls(path, on_bytes), "127.0.0.1", port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now_s = time.time()
        self._on_bytes(data, now_s)
        whole, end, self._rest = (self._rest + data).rpartition(b"\n\n")
        if end:
            # Only frames: the durable event that closes a channel has the whole text again.
            frames = (each for each in whole.split(b"\n\n") if b"event: frame" in each)
            self.delays_s += [now_s - float(emitted) for each in frames for emitted in _EMITTED.findall(each)]
        if b"event: turn.completed" in whole:
            self.is_over.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

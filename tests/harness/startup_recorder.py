"""Who connects to Postgres, and what each session asks for as it begins."""

import asyncio
import re
import struct
from typing import Any, NamedTuple

from tests.harness.tcp_proxy import PostgresProxy

_PROTOCOL_3 = 196_608
_KEPT_BYTES = 16_384


class Began(NamedTuple):
    """application: without the ids of workers. settings: of the startup packet; said: what the client sent after it."""

    application: str
    settings: dict[str, str]
    said: bytes


class _Ear:
    """Reads for somebody, and keeps the beginning."""

    def __init__(self, reader: asyncio.StreamReader, kept: bytearray) -> None:
        self._reader = reader
        self._kept = kept

    async def read(self, size: int) -> bytes:
        data = await self._reader.read(size)
        if len(self._kept) < _KEPT_BYTES:
            self._kept += data
        return data


class StartupRecorder(PostgresProxy):
    """began: all who came so far."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self._heads: list[bytearray] = []

    async def _forward(self, reader: Any, writer: asyncio.StreamWriter) -> None:
        self._heads.append(bytearray())
        await super()._forward(_Ear(reader, self._heads[-1]), writer)  # type: ignore[arg-type]

    @property
    def began(self) -> list[Began]:
        return [found for head in self._heads if (found := _read(bytes(head))) is not None]


def _read(head: bytes) -> Began | None:
    """None for a server's side, and for who asked only whether there is TLS."""
    if head[4:8] == struct.pack("!i", 80_877_103):
        head = head[8:]
    if len(head) < 8 or struct.unpack("!i", head[4:8])[0] != _PROTOCOL_3:
        return None
    size = struct.unpack("!i", head[:4])[0]
    words = head[8:size].rstrip(b"\0").decode().split("\0")
    settings = dict(zip(words[::2], words[1::2], strict=True))
    application = re.sub(r" [0-9a-f-]{36}$", "", settings.pop("application_name", ""))
    return Began(application, settings, head[size:])

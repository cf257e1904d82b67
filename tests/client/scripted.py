"""A server that answers as a test says: for what a real gateway does only when it dies at the wrong moment."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Self

TURN = "01234567-89ab-8cde-8f01-23456789abcd"


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Said(NamedTuple):
    """What is answered. is_cut: the connection breaks in the middle of it; is_kept: it stays open after it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    is_cut: bool = False
    is_kept: bool = False


BROKEN = Said(0)  # the connection breaks before a word


def problem(status: int, code: str, *, is_retryable: bool = False, retry_after: str = "") -> Said:
    body = {"code": code, "title": code, "detail": f"it is {code}", "retryable": is_retryable}
    headers = {"content-type": "application/problem+json"} | ({"retry-after": retry_after} if retry_after else {})
    return Said(status, json.dumps(body).encode(), headers)


def answer(code: int, /, **body: Any) -> Said:
    return Said(code, json.dumps(body).encode(), {"content-type": "application/json"})


def turn(status: str, **members: Any) -> Said:
    return answer(200, turn_id=TURN, status=status, **members)


def event(event_id: str, kind: str, seq: int, key: str = "", /, **data: Any) -> str:
    """One message of a stream."""
    told = {"turn_id": TURN, "seq": seq, "attempt": 1, "type": kind, "key": key, "at": "2026-01-01T00:00:00Z"}
    head = f"event: {kind}\n" + (f"id: {event_id}\n" if event_id else "")
    return f"{head}data: {json.dumps(told | {'data': data})}\n\n"


def stream(*messages: str, is_cut: bool = False, is_kept: bool = False) -> Said:
    return Said(200, "".join(messages).encode(), {"content-type": "text/event-stream"}, is_cut, is_kept)


class Scripted:
    """Gives one prepared answer a request, the last one again and again; `asked` is what was asked for."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: list[Said] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.url = ""

    def will_say(self, *answers: Said) -> None:
        self._answers = list(answers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.asked.append(await _read(reader))
            said = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if said.status:
                length = {} if said.is_cut or said.is_kept else {"content-length": str(len(said.body))}
                chunked = {} if length else {"transfer-encoding": "chunked"}
                headers = said.headers | length | chunked | {"connection": "close"}
                lines = [f"HTTP/1.1 {said.status} X", *(f"{name}: {value}" for name, value in headers.items())]
                body = said.body if length else b"%x\r\n%b\r\n" % (len(said.body), said.body)
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
            if said.is_kept:
                await reader.read()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for line in lines if line for name, _, value in [line.partition(":")]}
    if headers.get("transfer-encoding") == "chunked":
        return Asked(method, path, headers, b"".join([chunk async for chunk in _chunks(reader)]))
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)

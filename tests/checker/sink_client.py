"""How a step of a test workflow causes an effect at the sink."""

import asyncio
import http.client
import json
from collections import defaultdict
from typing import Any

_idle: defaultdict[tuple[int, str], list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = defaultdict(list)


class SinkError(Exception):
    """The sink answered that this receipt failed."""


def _request(address: str, body: bytes) -> bytes:
    return f"POST /effects HTTP/1.1\r\nhost: {address}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def cause(address: str, effect: dict[str, Any]) -> int:
    """Cause one effect; its number at the sink, the same for every repetition of a key. Raises SinkError."""
    idle = _idle[id(asyncio.get_running_loop()), address]
    host, _, port = address.partition(":")
    reader, writer = idle.pop() if idle else await asyncio.open_connection(host, int(port))
    try:
        writer.write(_request(address, json.dumps(effect).encode()))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        content = json.loads(await reader.readexactly(length))
    except BaseException:
        writer.close()
        raise
    idle.append((reader, writer))
    if not head.startswith(b"HTTP/1.1 200"):
        raise SinkError("the sink refuses")
    return int(content["number"])


def cause_synchronously(address: str, effect: dict[str, Any]) -> int:
    """The same from a thread."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("POST", "/effects", json.dumps(effect))
        answer = connection.getresponse()
        content = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != 200:
        raise SinkError("the sink refuses")
    return int(content["number"])

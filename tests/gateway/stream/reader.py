"""A client that reads a stream byte by byte, as the wire has it."""

import asyncio
import json
from typing import Any, NamedTuple

import httpx2


class Received(NamedTuple):
    type: str
    id: str
    body: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.body["data"])

    @property
    def seq(self) -> int:
        return int(self.body["seq"])


class Reader:
    """One connection. messages: all so far; comments, retry_ms: what else was sent; is_closed: by the server."""

    def __init__(self, url: str, path: str, headers: dict[str, str]) -> None:
        self._client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=60)
        self._path = path
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.status = 0
        self.headers: httpx2.Headers = httpx2.Headers()
        self.messages: list[Received] = []
        self.comments: list[str] = []
        self.retry_ms: list[int] = []
        self.is_closed = False

    async def __aenter__(self) -> "Reader":
        request = self._client.build_request("GET", self._path)
        async with asyncio.timeout(10):
            response = await self._client.send(request, stream=True)
        self.status, self.headers = response.status_code, response.headers
        self._task = asyncio.create_task(self._read(response))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.aclose()

    async def _read(self, response: httpx2.Response) -> None:
        message: dict[str, str] = {}
        try:
            async for line in response.aiter_lines():
                if not line:
                    self._take(message)
                    message = {}
                elif line.startswith(":"):
                    self.comments.append(line)
                else:
                    name, _, value = line.partition(": ")
                    message[name] = value
                self._news.set()
        finally:
            await response.aclose()
            self.is_closed = True
            self._news.set()

    def _take(self, message: dict[str, str]) -> None:
        if "retry" in message:
            self.retry_ms.append(int(message["retry"]))
        if "data" in message:
            self.messages.append(Received(message["event"], message.get("id", ""), json.loads(message["data"])))

    async def until(self, count: int, within_s: float = 20.0) -> list[Received]:
        """So many messages, once they are there."""
        return await self._until(lambda: len(self.messages) >= count, within_s)

    async def until_type(self, type_: str, within_s: float = 20.0) -> list[Received]:
        """Everything up to now, once there is one of this type."""
        return await self._until(lambda: any(each.type == type_ for each in self.messages), within_s)

    async def until_closed(self, within_s: float = 20.0) -> list[Received]:
        return await self._until(lambda: self.is_closed, within_s)

    async def _until(self, is_there: Any, within_s: float) -> list[Received]:
        try:
            async with asyncio.timeout(within_s):
                while not is_there():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not received within {within_s} s: {self.messages[-5:]}") from None
        return list(self.messages)

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.messages]

    @property
    def seqs(self) -> list[int]:
        """Of the durable events."""
        wire = {"frame", "channel.reset", "gap", "resync", "snapshot"}
        return [each.seq for each in self.messages if each.type not in wire]

    def text(self, channel: str = "answer") -> str:
        """What a client has that only puts frames together."""
        text = ""
        for each in self.messages:
            if each.type in ("channel.reset", "gap") and each.data["channel"] == channel:
                text = ""
            elif each.type == "frame" and each.data["channel"] == channel:
                text = text[: each.data["offset"]] + each.data["text"]
        return text

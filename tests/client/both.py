"""Either client, asked in the same way."""

import asyncio
from typing import Any

from argosy import AsyncClient, Client
from tests.client.scripted import TURN


class Both:
    """A client of a moment: made for one call. options: of the client."""

    def __init__(self, is_async: bool, **options: Any) -> None:
        self._is_async = is_async
        self._options = options

    def having(self, **options: Any) -> "Both":
        """The same with these options."""
        return Both(self._is_async, **options)

    async def run(self, *urls: str, retry_s: float = 5, **given: Any) -> Any:
        if self._is_async:
            async with AsyncClient(*urls, retry_s=retry_s, **self._options) as client:
                return await client.run("echo", {}, **given)
        with Client(*urls, retry_s=retry_s, **self._options) as client:
            return await asyncio.to_thread(client.run, "echo", {}, **given)

    async def on_turn(self, url: str, method: str, **given: Any) -> Any:
        """What a method of a turn's handle comes to."""
        if self._is_async:
            async with AsyncClient(url, retry_s=3, **self._options) as client:
                return await getattr(client.turn(TURN), method)(**given)
        with Client(url, retry_s=3, **self._options) as client:
            return await asyncio.to_thread(getattr(client.turn(TURN), method), **given)

    async def request(self, *urls: str, method: str, path: str, retry_s: float = 5, **given: Any) -> Any:
        if self._is_async:
            async with AsyncClient(*urls, retry_s=retry_s, **self._options) as client:
                return await client.request(method, path, **given)
        with Client(*urls, retry_s=retry_s, **self._options) as client:
            return await asyncio.to_thread(client.request, method, path, **given)

    async def events(self, *urls: str, retry_s: float = 5, after: str = "") -> list[Any]:
        if self._is_async:
            async with AsyncClient(*urls, retry_s=retry_s, **self._options) as client:
                return [each async for each in client.turn(TURN).events(after=after)]
        with Client(*urls, retry_s=retry_s, **self._options) as client:
            return await asyncio.to_thread(lambda: list(client.turn(TURN).events(after=after)))

    async def upload(self, url: str, lines: bytes) -> str:
        """The id of the job of an upload."""
        if self._is_async:
            async with AsyncClient(url, retry_s=5, **self._options) as client:
                return (await client.ingest("notes", lines)).job_id
        with Client(url, retry_s=5, **self._options) as client:
            return (await asyncio.to_thread(client.ingest, "notes", lines)).job_id

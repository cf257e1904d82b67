"""What a gateway appends, seen and answered as a test wants it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2

from argosy.log import Appended, Entry, Outcome

ECHO = {"workflow": "echo", "input": {"text": "hello"}}


class StubbornWriter:
    """Stands before a real writer and answers with one outcome; with UNKNOWN the record is in the log all the same."""

    def __init__(self, writer: Any, outcome: Outcome) -> None:
        self._writer = writer
        self._outcome = outcome
        self.entries: list[Entry] = []
        self.appended = asyncio.Event()

    @property
    def partition_count(self) -> int:
        return int(self._writer.partition_count)

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        self.entries += entries
        self.appended.set()
        if self._outcome is Outcome.APPENDED:
            return await self._writer.append(entries)  # type: ignore[no-any-return]
        if self._outcome is Outcome.UNKNOWN:
            await self._writer.append(entries)
        return [Appended(self._outcome, reason="because")] * len(entries)


def watch(client: httpx2.AsyncClient, outcome: Outcome = Outcome.APPENDED) -> StubbornWriter:
    """See what a gateway appends from here on, and say what becomes of it."""
    enqueue = client.state.enqueue  # type: ignore[attr-defined]
    enqueue._writer = StubbornWriter(enqueue._writer, outcome)
    return enqueue._writer  # type: ignore[no-any-return]

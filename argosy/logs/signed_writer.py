"""A writer whose records have MACs, around the writer of any log."""

from collections.abc import Sequence

from argosy.log import Appended, Entry, Identity, LogWriter
from argosy.record_mac import RecordMacs


class SignedWriter:
    """argosy/log.py, LogWriter."""

    def __init__(self, writer: LogWriter, macs: RecordMacs) -> None:
        self._writer = writer
        self._macs = macs

    @property
    def partition_count(self) -> int:
        return self._writer.partition_count

    @property
    def identity(self) -> Identity:
        return self._writer.identity

    async def look(self) -> Identity:
        return await self._writer.look()

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        return await self._writer.append([self._macs.signed(each) for each in entries])

    async def backlog_age_s(self) -> float:
        return await self._writer.backlog_age_s()

    async def close(self) -> None:
        await self._writer.close()

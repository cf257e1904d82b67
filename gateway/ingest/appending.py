"""Appends the records of one upload to the log, in order, while the upload goes on.

One call of the writer is under way at a time, and records that come meanwhile go together with the next one: calls that
overlap may change places in a log, and a record behind a hole is of no use. Who appends waits while as much waits as
goes into one call, so an upload holds twice that at the most, however fast it comes.

What the log acknowledged without a hole (`place`, `size_bytes`) is what an upload may go on behind. After a record that
was not acknowledged nothing more is appended.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from argosy import crash_points
from argosy.gateway.ingest.packer import Place
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.log import Entry, LogWriter, Outcome

CALL_SIZE_BYTES_MAX: Final = 1_048_576  # four records of the usual size: enough to keep a log busy


class Piece(NamedTuple):
    """A record to append. through: behind its last line. size_bytes: of its lines, with their ends."""

    entry: Entry
    through: Place
    size_bytes: int


class Appending:
    """The appends of one upload. begin: behind which line they begin, and how many bytes the log has up to there."""

    def __init__(self, writer: LogWriter, begin: Place, size_bytes: int) -> None:
        self.place = begin
        self.size_bytes = size_bytes
        self._writer = writer
        self._waiting: deque[Piece] = deque()
        self._waiting_size_bytes = 0
        self._failure: Problem | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_moved = asyncio.Event()

    async def add(self, piece: Piece) -> None:
        """Append a record soon; wait while too much waits. Raises Problem when the log did not take one before."""
        while self._waiting_size_bytes >= CALL_SIZE_BYTES_MAX and self._failure is None:
            await self._moved()
        self._check()
        self._waiting.append(piece)
        self._waiting_size_bytes += len(piece.entry.value)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="ingest-append")

    async def finish(self) -> None:
        """Return once the log has acknowledged everything. Raises Problem."""
        await self.settle()
        self._check()

    async def settle(self) -> None:
        """Return once nothing is under way any more, whatever came of it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _moved(self) -> None:
        self._has_moved.clear()
        await self._has_moved.wait()

    async def _run(self) -> None:
        while self._waiting and self._failure is None:
            pieces = self._next()
            self._has_moved.set()
            results = await self._writer.append([piece.entry for piece in pieces])
            for piece, result in zip(pieces, results, strict=True):
                if result.outcome is not Outcome.APPENDED:
                    self._failure = _problem(result.outcome, result.reason)
                    break
                self.place = piece.through
                self.size_bytes += piece.size_bytes
            crash_points.reach("upload_appended")
        self._has_moved.set()

    def _next(self) -> list[Piece]:
        """Take what goes into the next call: at least one record."""
        pieces: list[Piece] = []
        size_bytes = 0
        while self._waiting and (not pieces or size_bytes + len(self._waiting[0].entry.value) <= CALL_SIZE_BYTES_MAX):
            pieces.append(self._waiting.popleft())
            size_bytes += len(pieces[-1].entry.value)
        self._waiting_size_bytes -= size_bytes
        return pieces


def _problem(outcome: Outcome, reason: str) -> Problem:
    if outcome is Outcome.NOT_APPENDED:
        return Problem("log_unavailable", reason or "refused", retry_after_s=RETRY_AFTER_S)
    return Problem(
        "outcome_unknown", f"the log did not answer: {reason or 'no reason given'}", retry_after_s=RETRY_AFTER_S
    )

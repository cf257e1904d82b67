"""One partition of a topic as a feed in the graph's file: lines are put until the file has them.

Why a late call does nothing: a batch begins with the number that the file waits for, or nothing of it is done. Who
comes late is answered with how the feed is now, and leaves out what it has.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from argosy.clock import Clock
from argosy.errors import (
    GraphDeadlineError,
    GraphFileError,
    GraphMissingError,
    GraphTakenError,
    InternalError,
    OutcomeUnknownError,
    UnavailableError,
)
from argosy.graph.bound import BoundGraph
from argosy.graph.facts import Source
from argosy.graph.feeds import LINES_MAX, Fed, FeedBatch, new_feed
from argosy.ingest.chain import SIZE_BYTES
from argosy.ingest.job import WaitsFor
from argosy.workers.ingest.topics.mapped import Line
from argosy.workers.ingest.topics.topic_notes import TopicNotes

_SIZE_BYTES_MAX: Final = 262_144  # of one batch, beyond its last line; of it a shard leaves what others wait for
_RETRY_S_MIN, _RETRY_S_MAX = 0.1, 5.0


class FeedWentBackError(UnavailableError):
    """The graph's file knows less of a feed than it did: another file is there. The partition is read anew."""


class TopicFeed:
    """room: how many batches one topic has under way."""

    def __init__(
        self,
        partition: int,
        name: str,
        graph: BoundGraph,
        notes: TopicNotes,
        source: Source,
        room: asyncio.Semaphore,
        clock: Clock,
    ) -> None:
        self.partition = partition
        self._graph = graph
        self._notes = notes
        self._source = source
        self._room = room
        self._clock = clock
        self._mark = blake2b(name.encode(), digest_size=SIZE_BYTES).digest()  # numbers may have holes: no chain
        self._confirmed = 0
        self._state = new_feed(name)

    async def begin(self) -> int | None:
        """Ask the file how the feed is. Returns the offset of the record that it waits for; None: nothing was done."""
        self._state = new_feed(self._state.feed)
        await self._take(await self._send(self._question()))
        return None if self._state == new_feed(self._state.feed) else self._state.next - 1

    async def put(self, lines: Sequence[Line], end: int) -> None:
        """Return when the file has everything before the number `end`, and its rejects stand in Postgres. Raises
        FeedWentBackError, GraphNotFoundError.
        """
        for part, its_end in _parts_of(lines, end):
            while self._state.next < its_end:
                batch = self._batch(part, its_end)
                await self._take(await self._send(batch))
                if self._state.next < batch.first:
                    raise FeedWentBackError(f"feed {self._state.feed!r} is at {self._state.next}, not {batch.first}")

    def _batch(self, lines: Sequence[Line], end: int) -> FeedBatch:
        """Return a batch of what the file does not have yet. Where no line is left, a blank one moves the feed on."""
        left = [each for each in lines if each[0] >= self._state.next] or [(end - 1, b"")]
        return self._question()._replace(
            end=end,
            after=self._mark,
            lines=b"\n".join(line for _, line in left),
            numbers=tuple(number for number, _ in left),
        )

    def _question(self) -> FeedBatch:
        """Return a batch of no lines: it confirms rejects, and asks how the feed is."""
        feed, first, chain, *_ = self._state
        return FeedBatch(feed, 0, first, first, chain, chain, b"", self._confirmed, self._source)

    async def _take(self, fed: Fed) -> None:
        while True:
            self._state = fed.state
            if fed.refused:
                await self._notes.keep(self.partition, fed.refused)
                self._confirmed = fed.refused[-1].line
            if not fed.is_cut:
                return
            fed = await self._send(self._question())

    async def _send(self, batch: FeedBatch) -> Fed:
        """Send a batch until the shard answers. Raises GraphNotFoundError."""
        delay_s = _RETRY_S_MIN
        while True:
            try:
                async with self._room:
                    fed = await self._graph.ingest(batch)
                self._notes.waits(self.partition, WaitsFor.NOTHING)
                return fed
            except (GraphMissingError, GraphTakenError, GraphFileError, InternalError):  # its shard's log says what
                self._notes.waits(self.partition, WaitsFor.OPERATOR)
            except (UnavailableError, GraphDeadlineError, OutcomeUnknownError):
                self._notes.waits(self.partition, WaitsFor.SHARD)
            await self._clock.sleep(random.uniform(0.5, 1.0) * delay_s)
            delay_s = min(delay_s * 2, _RETRY_S_MAX)


def _parts_of(lines: Sequence[Line], end: int) -> Iterator[tuple[Sequence[Line], int]]:
    """Yield the lines in parts that are no larger than a batch may be, each with the number behind it."""
    begin, size_bytes = 0, 0
    for index, (number, line) in enumerate(lines):
        if index > begin and (size_bytes >= _SIZE_BYTES_MAX or index - begin >= LINES_MAX):
            yield lines[begin:index], number
            begin, size_bytes = index, 0
        size_bytes += len(line)
    yield lines[begin:], end

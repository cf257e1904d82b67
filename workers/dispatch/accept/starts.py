"""Turns that other turns started: rows of `starts`, which a flush writes, become turns by an accept, as records do.

Rules (I1, I2):
- A start goes through the same `accept` as a record: behind one lock, on one numbered stream, fenced by the claim. So
  the turns of a session, whichever way they come, have one order: that of their places.
- What a position is to a record, the row in `starts` is to a start. The accept that inserts the turn deletes the row,
  in one transaction; a start whose row is gone was accepted. So it becomes one turn, whoever reads the row how often:
  this worker, also after a crash, or a former and a new owner of its bucket.
- Within a session starts come in the order in which they were asked for: a bucket's rows are read by `sent_at`, and
  what a read leaves comes with the next. There is no cursor over times or ids: each read begins with the oldest.
- Buckets take turns: a read takes a few rows of each and goes on behind the last one, so that the thousands of one
  bucket keep no other waiting.
- What cannot become a turn stays in `starts`, which is to a start what a dead letter is to a record, and is said in the
  log. It is left out until the next claim of its partition, whose owner may be of a version that can read it.
- Memory is not filled: while too many sessions are ready, starts wait in Postgres, as records do in the log.

Nothing is polled here. The inbox tells whether starts wait, with what it asks anyway (Inbox.look), and a flush that
wrote one tells its owner.
"""

import asyncio
import uuid
from collections import Counter
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import FlushRefusedError, FlushSlowError
from argosy.ranges import joined
from argosy.rounds import Rounds
from argosy.store.start import StartBounds, StartRow, StartRows
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.owned import Owned

log = structlog.get_logger()

_ROWS_PER_BUCKET: Final = 32  # of a read: buckets take turns
_BEFORE_ALL: Final = -1  # a bucket before the first

_Start = tuple[Owned, StartRow]


class Starts:
    """Has turns accepted that other turns started; `run` goes on until it is cancelled, and `poke` makes it look."""

    def __init__(self, rows: StartRows, intake: Intake, claims: Claims, clock: Clock, settings: Settings) -> None:
        self._rows = rows
        self._intake = intake
        self._claims = claims
        self._bounds = StartBounds(
            settings.start_rows_max, min(_ROWS_PER_BUCKET, settings.start_rows_max), settings.log_batch_size_bytes_max
        )
        self._rounds = Rounds("starts", clock)
        self._left: dict[uuid.UUID, Owned] = {}  # cannot become turns under this claim
        self._work = asyncio.Event()

    def poke(self) -> None:
        """Look at once: starts wait. A hint: it may come twice."""
        self._work.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            is_done = False
            async with self._rounds:
                await self.look()
                is_done = True
            if not is_done:
                self._work.set()

    async def look(self) -> None:
        """Accept all starts that wait in buckets of this worker."""
        after = _BEFORE_ALL
        while True:
            await self._intake.room.wait()
            served = [each for each in self._claims.owned.values() if each.is_served]
            self._left = {turn_id: owned for turn_id, owned in self._left.items() if not owned.is_void}
            if not served:
                return  # the inbox tells when one is
            ranges = joined((each.first_bucket, each.last_bucket) for each in served)
            rows = await self._rows.due(ranges, after, self._bounds, list(self._left))
            await self._accept([(owned, row) for row in rows if (owned := self._served(row.bucket)) is not None])
            if after == _BEFORE_ALL and self._are_all(rows):
                return
            after = rows[-1].bucket if rows else _BEFORE_ALL

    def _served(self, bucket: int) -> Owned | None:
        owned = self._claims.of(bucket)
        return owned if owned is not None and owned.is_served else None

    def _are_all(self, rows: list[StartRow]) -> bool:
        """Whether the read that began with the first bucket came to no bound."""
        in_bucket = Counter(row.bucket for row in rows)
        return (
            len(rows) < self._bounds.rows_max
            and max(in_bucket.values(), default=0) < self._bounds.rows_per_bucket_max
            and sum(len(row.record) for row in rows) < self._bounds.size_bytes_max
        )

    async def _accept(self, starts: list[_Start], *, is_last_resort: bool = False) -> None:
        """Accept these; in parts, down to a single one, when Postgres refuses them or is too slow.

        is_last_resort: send the call until Postgres answers, however slow it is.
        """
        try:
            refused = await self._intake.start(starts, is_last_resort=is_last_resort)
        except FlushRefusedError as error:
            telemetry.FLUSHES_SPLIT.labels(stream="accept", why=type(error).__name__).inc()
            if len(starts) > 1:
                half = len(starts) // 2
                await self._accept(starts[:half])
                await self._accept(starts[half:])
            elif isinstance(error, FlushSlowError):
                await self._accept(starts, is_last_resort=True)
            else:
                self._leave(*starts[0], error)
            return
        for each in refused:
            self._leave(*each)

    def _leave(self, owned: Owned, row: StartRow, error: Exception) -> None:
        self._left[row.turn_id] = owned
        log.error(telemetry.START_LEFT, turn_id=str(row.turn_id), partition=owned.partition, reason=str(error))

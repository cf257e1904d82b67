"""The records for one life of a graph, in the order of the log, and what is done about the first of them.

One call to the graph's shard is under way at the most. A record is done when its file has its lines, or knows or
refuses them as a whole (decision.py), and every refused line up to its end is known here; or when its job is over. What
cannot be asked now waits, with all behind it, longer each time up to INGEST_RETRY_S_MAX; its jobs say what for.

Lines behind the end of an upload to the same job (another upload under its key, that begins alike and is longer) wait
until Postgres has what that end came to. Either the job has ended with it: then they are dropped, and their gateway
refuses their upload, for the row has another end. Or the row had the longer upload's end already: then the end before
them is the one that was refused, and they are applied. So no line is applied of which anybody is told that it is not.
"""

import random
import uuid
from collections import deque
from enum import Enum
from typing import Final

import structlog

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    GraphFileError,
    GraphForbiddenError,
    GraphMissingError,
    GraphNotFoundError,
    GraphTakenError,
    InternalError,
    KeyExpiredError,
    ShardUnavailableError,
    StoreUnavailableError,
)
from argosy.graph.bound import BoundGraph
from argosy.graph.feeds import FeedBatch, is_next
from argosy.ingest.job import JobFailure, WaitsFor
from argosy.ingest.record import LinesRecord, SealedLines
from argosy.seal.errors import NoMasterKeyError
from argosy.seal.lines import opened_lines
from argosy.store.ingest import Jobs
from argosy.store.ingest_notes import Verdict
from argosy.workers.ingest.decision import Ending, Fate, ending_of, fate_of, needs_look, piece_of
from argosy.workers.ingest.feed import Feed, Held, last_line_of
from argosy.workers.ingest.graph_life import GraphLives, Life
from argosy.workers.ingest.partition import Partition
from argosy.workers.ingest.progress import Progress

log = structlog.get_logger()

# What waits for them is lost by no want of theirs: an operator can mend it.
_NEED_OPERATOR: Final = (
    *(GraphFileError, GraphMissingError, GraphTakenError, GraphForbiddenError, InternalError, NoMasterKeyError),
)
_WAIT_S_MIN: Final = 0.05
_LINES: Final = {each: telemetry.INGEST_LINES.labels(outcome=each) for each in ("applied", "rejected", "known")}
_FATES: Final = {each: telemetry.INGEST_RECORDS.labels(fate=each.value) for each in Fate}


class Next(Enum):
    """What the graph wants after a step."""

    NOTHING = "nothing"  # until there is another record
    STEP = "step"
    PAUSE = "pause"  # a step after `delay_s`
    NOTE = "note"  # a step once Postgres has what was refused, or how an upload ended


class GraphFeeds:
    """The queue of one life of a graph. shard: where it was last. waits_for: why nothing is asked now."""

    def __init__(
        self, graph: BoundGraph, jobs: Jobs, lives: GraphLives, progress: Progress, clock: Clock, *, wait_s_max: float
    ) -> None:
        self._graph = graph
        self._jobs = jobs
        self._lives = lives
        self._progress = progress
        self._clock = clock
        self._wait_s_max = wait_s_max
        self._queue: deque[Held] = deque()
        self._wait_s = 0.0
        self.held_size_bytes = 0
        self.partition: Partition | None = None
        self.shard: uuid.UUID | None = None
        self.delay_s = 0.0
        self.waits_for = WaitsFor.NOTHING

    @property
    def is_empty(self) -> bool:
        return not self._queue

    @property
    def size_bytes(self) -> int:
        """The size of what the next step sends, or nearly so."""
        return self._queue[0].slot.size_bytes if self._queue else 0

    def add(self, held: Held) -> None:
        self._queue.append(held)
        held.feed.held_count += 1
        self.partition = held.partition
        self.held_size_bytes += held.slot.size_bytes
        if self.waits_for is not WaitsFor.NOTHING:
            self._progress.waits(held.feed, self.waits_for)

    def drop_old(self) -> None:
        """Drop what was read under a reading that is over."""
        kept = [each for each in self._queue if not each.partition.is_over]
        for each in self._queue:
            each.feed.held_count -= 1
        for each in kept:
            each.feed.held_count += 1
        self._queue = deque(kept)
        self.held_size_bytes = sum(each.slot.size_bytes for each in kept)

    async def step(self) -> Next:
        """Do what can be done without asking, then ask the shard once. Never raises but for a cancellation, or an error
        of Argosy's own code.
        """
        while self._queue:
            held = self._queue[0]
            if held.partition.is_over:
                self._drop(held)
                continue
            try:
                batch = await self._batch_for(held)
                if batch is None:
                    continue
                if self._waits_for_note(held.feed, batch):
                    return Next.NOTE
                await self._ask(held, batch)
            except ArgosyError as error:
                return await self._failed(held, error)
            self._wait_s = 0.0
            return Next.STEP
        return Next.NOTHING

    def _waits_for_note(self, feed: Feed, batch: FeedBatch) -> bool:
        """Whether Postgres has to have something first: refused lines, of which the file tells more only then, or an
        end in front of these lines.
        """
        if feed.is_cut and feed.confirmed < feed.refused_through:
            return True
        return batch.end > batch.first and self._progress.has_end_to_say(feed)

    async def _batch_for(self, held: Held) -> FeedBatch | None:
        """Return what is to be asked for the first record; None when it is done without."""
        feed = held.feed
        if not feed.is_looked_up:
            feed.is_over = feed.job_id in await self._jobs.ended([feed.job_id])
            feed.is_looked_up = True
        if feed.is_over:
            self._done(held)
            return None
        if isinstance(held.record, SealedLines):
            held.record = await opened_lines(self._jobs.seals, held.record)
        if isinstance(held.record, LinesRecord):
            return self._batch_of_lines(held, held.record)
        if feed.state is None:
            return feed.question()
        ending = ending_of(held.record, feed.state, is_mixed=feed.is_mixed)
        if ending.verdict is not Verdict.DONE and not held.is_asked:
            return feed.question()
        if not feed.has_all_refused(last_line_of(held.record)):
            return feed.question()
        self._progress.ended(feed, ending, held.record)
        self._done(held)
        return None

    def _batch_of_lines(self, held: Held, record: LinesRecord) -> FeedBatch | None:
        feed = held.feed
        if feed.state is None:
            return feed.batch_of(piece_of(record, record.first_line, record.before))
        fate = fate_of(record, feed.state)
        if fate is Fate.NEXT:
            return feed.batch_of(piece_of(record, feed.state.next, feed.state.chain))
        if (needs_look(fate) and not held.is_asked) or not feed.has_all_refused(last_line_of(record)):
            return feed.question()
        _FATES[Fate.NEXT if held.is_sent else fate].inc()
        if fate is Fate.KNOWN and not held.is_sent:
            _LINES["known"].inc(record.line_count)
        if fate is Fate.FOREIGN:
            feed.is_mixed = True
            words = {"job": str(feed.job_id), "graph": feed.graph, "line": record.first_line}
            log.warning(telemetry.INGEST_RECORD_FOREIGN, **words)
        self._done(held)
        return None

    async def _ask(self, held: Held, batch: FeedBatch) -> None:
        feed, before = held.feed, held.feed.state
        crash_points.reach("ingest_sent")
        began_s = self._clock.monotonic_s()
        fed = await self._graph.ingest(batch)
        telemetry.INGEST_BATCH_S.observe(self._clock.monotonic_s() - began_s)
        crash_points.reach("ingest_applied")
        if held.partition.is_over:
            return  # what was known of files then may not hold any more
        if before is not None and fed.state == before and is_next(batch, before):
            raise ShardUnavailableError("the shard did nothing with the lines that the graph's file waits for")
        new = feed.take(fed)
        held.is_asked = True
        if before is not None and batch.end > batch.first and batch.first < fed.state.next:
            held.is_sent = True
            _LINES["applied"].inc(max(0, fed.state.applied - before.applied))
            _LINES["rejected"].inc(max(0, fed.state.rejected - before.rejected))
        self._progress.answered(feed, new)
        if self.waits_for is not WaitsFor.NOTHING:
            self._waits(WaitsFor.NOTHING)

    async def _failed(self, held: Held, error: ArgosyError) -> Next:
        feed = held.feed
        if isinstance(error, KeyExpiredError):
            return self._fail(feed, JobFailure.EXPIRED, str(error))
        if isinstance(error, GraphNotFoundError):
            try:
                life = await self._lives.look(feed)
            except ArgosyError as second:
                return self._pause(second)
            if life is Life.MADE:
                return Next.STEP
            if life is Life.GONE:
                return self._fail(feed, JobFailure.GRAPH_DROPPED, "its graph was dropped")
            return self._pause(error)
        # What its shard cannot do now it may do once mended.
        if error.retryable or isinstance(error, InternalError | GraphForbiddenError | NoMasterKeyError):
            return self._pause(error)
        return self._fail(feed, error.code, str(error))

    def _fail(self, feed: Feed, code: str, reason: str) -> Next:
        """End the feed's job. What there is of it here is dropped as it comes to its turn."""
        self._progress.ended(feed, Ending(Verdict.FAILED, code, reason))
        feed.is_over = feed.is_looked_up = True
        return Next.STEP

    def _pause(self, error: ArgosyError) -> Next:
        self._wait_s = min(max(_WAIT_S_MIN, self._wait_s * 2), self._wait_s_max)
        self.delay_s = random.uniform(0.5, 1.0) * self._wait_s
        if not isinstance(error, StoreUnavailableError):  # while Postgres is away, nothing can be said of jobs either
            is_broken = isinstance(error, _NEED_OPERATOR)
            self._waits(WaitsFor.OPERATOR if is_broken else WaitsFor.SHARD, error)
        return Next.PAUSE

    def _waits(self, waits_for: WaitsFor, error: ArgosyError | None = None) -> None:
        if waits_for is self.waits_for:
            return
        self.waits_for = waits_for
        if error is not None:
            words = f"{type(error).__name__}: {error}"
            log.warning(telemetry.INGEST_GRAPH_WAITING, **self._graph.name._asdict(), waits_for=waits_for, error=words)
        for feed in {each.feed for each in self._queue}:
            self._progress.waits(feed, waits_for)

    def _done(self, held: Held) -> None:
        self._drop(held)
        held.partition.done(held.slot)
        self._progress.done()

    def _drop(self, held: Held) -> None:
        if self._queue and self._queue[0] is held:  # else it was dropped while Postgres was asked
            self._queue.popleft()
            held.feed.held_count -= 1
            self.held_size_bytes -= held.slot.size_bytes

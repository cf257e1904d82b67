"""What this worker found out and has not said yet, and its saying: one call about every quarter of a second.

Rules:
- What a record came to is taken in before the record is done (`Partition.done`). Positions are read first and said
  last, when everything that was taken in by then is in Postgres: no position passes a record of which anything is not.
- A call is bounded, by jobs and by refused lines. One whose outcome is not known is made again, with what came
  meanwhile: all of it holds however often it is said.
- While Postgres is away, what waits to be said is bounded: without `room` no graph is asked.
- The log is told of a position, and a graph's file of the refused lines that it need not tell again, once Postgres has
  them.
- When the database went back in time, nothing that was found out holds: the worker begins again (OwnershipLostError).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.graph.feeds import RefusedLine
from argosy.ingest.job import JobState, WaitsFor
from argosy.ingest.record import EndRecord
from argosy.log import LogReader
from argosy.rounds import Rounds
from argosy.store.ingest_notes import DeadRecord, Note, Notes, Passed, RejectNote
from argosy.workers.ingest.decision import Ending
from argosy.workers.ingest.feed import Feed
from argosy.workers.ingest.partition import Partition
from argosy.workers.ingest.said import Said, parts

log = structlog.get_logger()

_INTERVAL_S: Final = 0.25
_SOON: Final = 64  # records that are done: then it is said at once
_JOBS_MAX: Final = 2_000  # that wait to be said
_REJECTS_MAX: Final = 20_000  # so do these: with reasons and starts about 10 MB
_Idle = dict[Partition, tuple[int, float]]  # a position, and when the log ended there


class Progress:
    """What is to be said. `run` until cancelled. room: set while graphs may be asked."""

    def __init__(self, notes: Notes, reader: LogReader, clock: Clock) -> None:
        self._notes = notes
        self._reader = reader
        self._clock = clock
        self._rounds = Rounds("ingest progress", clock)
        self._said: dict[Feed, Said] = {}
        self._being_said: dict[Feed, Said] = {}  # as far as Postgres does not have it
        self._dead: list[DeadRecord] = []
        self._idle: _Idle = {}
        self._partitions: dict[int, Partition] = {}
        self._life = object()  # another one after everything was forgotten
        self._done = self._rejects = 0
        self._soon = asyncio.Event()
        self._saying = asyncio.Lock()  # a position must not overtake what another call says of the records before it
        self._followers: list[Callable[[Feed], None]] = []
        self.room = asyncio.Event()
        self.room.set()
        self.set_back: set[int] = set()  # partitions that Postgres has further back: they are to be read again

    def follow(self, after_note: Callable[[Feed], None]) -> None:
        """Call this with each feed of which something was said, once Postgres has it."""
        self._followers.append(after_note)

    # What was found out

    def answered(self, feed: Feed, refused: Sequence[RefusedLine]) -> None:
        """Take in that a file has answered, and what it told of refused lines."""
        said = self._of(feed)
        said.state = feed.state
        said.waits_for = WaitsFor.NOTHING
        said.rejects.extend(refused)
        self._rejects += len(refused)
        self._balance()

    def waits(self, feed: Feed, waits_for: WaitsFor) -> None:
        self._of(feed).waits_for = waits_for

    def ended(self, feed: Feed, ending: Ending, record: EndRecord | None = None) -> None:
        """Take in how a job ends; record: by which end of an upload, which stood in the log."""
        self._of(feed).end(ending, record)
        self._soon.set()

    def dead(self, record: DeadRecord) -> None:
        self._dead.append(record)

    def has_to_say(self, feed: Feed) -> bool:
        """Whether there is something of a feed that Postgres does not have yet."""
        return feed in self._said or feed in self._being_said

    def has_end_to_say(self, feed: Feed) -> bool:
        """Whether there is an end of the feed's job, or of an upload to it, that Postgres does not have yet."""
        return any(feed in each and each[feed].has_end for each in (self._said, self._being_said))

    @property
    def held_size_bytes(self) -> int:
        """The size of the records that are kept aside and not said yet."""
        return sum(len(each.value) for each in self._dead)

    def done(self) -> None:
        """Take in that a record is done."""
        self._done += 1
        if self._done >= _SOON:
            self._soon.set()

    def idle(self, partition: Partition, asked_at_s: float) -> None:
        """Take in that the log ended at the partition's position when it was asked, and everything before is done."""
        self._idle[partition] = (partition.position, asked_at_s)

    def read(self, partition: Partition) -> None:
        """Say how far this partition is, from now on, in place of the one with its number."""
        self._partitions[partition.number] = partition

    def leave(self, partition: Partition) -> None:
        if self._partitions.get(partition.number) is partition:
            del self._partitions[partition.number]
        self._idle.pop(partition, None)

    def forget(self) -> None:
        """Drop what was not said: it may not hold any more."""
        self._life = object()
        self._said, self._being_said, self._dead, self._idle = {}, {}, [], {}
        self._partitions.clear()
        self._done = self._rejects = 0
        self.set_back.clear()
        self._balance()

    def _of(self, feed: Feed) -> Said:
        said = self._said.get(feed)
        if said is None:
            said = self._said[feed] = Said(feed)
            self._balance()
        return said

    def _balance(self) -> None:
        if len(self._said) >= _JOBS_MAX or self._rejects >= _REJECTS_MAX or len(self._dead) >= _JOBS_MAX:
            self.room.clear()
            self._soon.set()
        else:
            self.room.set()

    # Saying it

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_INTERVAL_S):
                    await self._soon.wait()
            except TimeoutError:
                pass
            self._soon.clear()
            async with self._rounds:
                await self.say()

    async def say(self) -> None:
        """Say what there is, one call at a time. Raises StoreUnavailableError; OwnershipLostError: begin again."""
        async with self._saying:
            await self._say()

    async def _say(self) -> None:
        passed = self._passed()
        if not (passed or self._said or self._dead):
            return
        said, dead, idle, life = self._said, self._dead, self._idle, self._life
        self._said, self._dead, self._idle, self._done, self._rejects = {}, [], {}, 0, 0
        self._being_said = said
        followed = dict(self._partitions)
        try:
            for part in parts(list(said.values())):
                await self._say_jobs(part)
                if life is not self._life:
                    return  # meanwhile everything was forgotten
                for each in part:
                    del said[each.feed]
            # Last, when everything is in Postgres that happened before them.
            noted = await self._notes.say(Note(passed, dead))
        except BaseException:
            if life is self._life:
                self._restore(said, dead, idle)
            raise
        crash_points.reach("ingest_noted")
        if life is self._life:
            for number, _, end, _ in passed:
                self._note_position(followed[number], end, noted.positions[number])
        self._balance()

    async def _say_jobs(self, part: list[Said]) -> None:
        now_s = self._clock.monotonic_s()
        jobs = [note for each in part for note in each.notes(each.feed.rate_of(now_s))]
        rejects = [RejectNote(each.feed.job_id, 0, *line) for each in part for line in each.rejects]
        noted = await self._notes.say(Note(jobs=jobs, rejects=rejects))
        for each in part:
            feed = each.feed
            if each.rejects:
                feed.confirmed = max(feed.confirmed, each.rejects[-1].line)
            if (state := noted.states[feed.job_id]) is not JobState.RUNNING:
                self._note_end(each, state)
            for after_note in self._followers:
                after_note(feed)

    def _passed(self) -> list[Passed]:
        """Return the partitions that have something to say."""
        now_s, found = self._clock.monotonic_s(), []
        for partition in self._partitions.values():
            end = partition.position
            at, asked_s = self._idle.get(partition, (-1, 0.0))
            age_s = now_s - asked_s if at == end else None
            if end > partition.noted or age_s is not None:
                found.append(Passed(partition.number, partition.noted, end, age_s))
        return found

    def _note_position(self, partition: Partition, end: int, position: int) -> None:
        if position < partition.noted:
            self.set_back.add(partition.number)
        elif partition.noted < end:
            partition.noted = end
            self._reader.accepted(partition.number, end)

    def _note_end(self, said: Said, state: JobState) -> None:
        feed, failure = said.feed, said.failed
        if feed.is_over and failure is None:
            return
        feed.is_over = True
        telemetry.INGEST_JOBS_ENDED.labels(state=state).inc()
        if failure is not None and state is JobState.FAILED:
            about = {"job": str(feed.job_id), "tenant": feed.tenant, "graph": feed.graph}
            log.warning(telemetry.INGEST_JOB_FAILED, **about, code=failure.code, reason=failure.reason)

    def _restore(
        self, said: dict[Feed, Said], dead: list[DeadRecord], idle: dict[Partition, tuple[int, float]]
    ) -> None:
        """Take back what could not be said. What came meanwhile is newer."""
        for feed, newer in self._said.items():
            if (older := said.get(feed)) is None:
                said[feed] = newer
            else:
                older.follow_with(newer)
        self._said, self._dead, self._idle = said, dead + self._dead, {**idle, **self._idle}
        self._being_said = {}
        self._rejects = sum(len(each.rejects) for each in said.values())
        self._balance()

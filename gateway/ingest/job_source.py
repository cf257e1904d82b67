"""The source of a job's messages: its durable events, to its end, and its progress between them. See Source.

Nobody owns a job, so history is asked again and again, for all followed jobs of this process at once.

A client whose last event is not in history any more (the database was restored) is told so by a `resync`, and gets all
events again: they are few.
"""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from argosy.gateway.ingest import views
from argosy.gateway.problems import Problem
from argosy.gateway.stream.event_id import ANY_LINEAGE, EventId
from argosy.gateway.stream.message import Message, resync_data
from argosy.gateway.stream.source import Reading, Received, Then
from argosy.gateway.together import Together
from argosy.ingest.job import ENDING
from argosy.store.ingest import JobEventRow, JobRow, Jobs
from argosy.turn.events import WireEvent

PROGRESS: Final = "job.progress"
_EVENTS_MAX: Final = 200  # of one read; a job has hardly ever more
_encode: Final = msgspec.json.Encoder().encode


class Seen(NamedTuple):
    """What a client knows of a job."""

    job_id: uuid.UUID
    seq: int
    received_line: int = -1
    next_line: int = 0
    waits_for: str = ""


MovedJobs = Together[Seen, bool]


class Moved:
    """Answers MovedJobs, which all streams of this process share: True where there is something else by now."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def answer(self, questions: list[Seen]) -> dict[Seen, bool]:
        rows = {row.job_id: row for row in await self._jobs.find_many(list({each.job_id for each in questions}))}
        return {each: True for each in questions if _is_other(each, rows.get(each.job_id))}


class _Message(msgspec.Struct):
    job_id: uuid.UUID
    seq: int
    type: str
    at: datetime | None
    data: msgspec.Raw


class _Progress(msgspec.Struct):
    received_lines: int
    lines: int | None
    applied: int
    rejected: int
    rate_lines_s: float
    waits_for: str


class JobSource:
    """The source of one job. after: the last event that the client has. first: the job, as the tenant has it."""

    target = None

    def __init__(self, jobs: Jobs, moved: MovedJobs, job: JobRow, after: EventId) -> None:
        self._jobs = jobs
        self._moved = moved
        self._job = job
        self._last = after
        self._seen = Seen(job.job_id, after.seq)
        self._first: list[Message] = []
        self.is_over = False

    def resume(self) -> tuple[int, int]:
        return 0, 0

    async def find(self) -> bool:
        return False

    async def begin(self) -> bool:
        self._first = await self._next()
        return bool(self._first) or not self.is_over

    async def read(self, _: Reading) -> AsyncIterator[list[Message]]:
        first, self._first = self._first, []
        if messages := first or await self._next():
            yield messages

    async def has_more(self) -> bool:
        return bool(await self._moved.ask(self._seen))

    def receive(self, item: Any, *, has_read: bool) -> Received:
        return [], Then.GO_ON

    async def _next(self) -> list[Message]:
        """Return what is new: events, and progress when there is some."""
        row = await self._jobs.find(self._job.job_id, self._job.tenant)
        if row is None:
            raise not_found(self._job.job_id)
        messages = await self._events(row)
        seen = Seen(row.job_id, self._last.seq, row.received_line, row.next_line, row.waits_for)
        if seen[2:] != self._seen[2:] and not self.is_over:
            messages.append(self._message(PROGRESS, _encode(_progress(row))))
        self._seen = seen
        return messages

    async def _events(self, row: JobRow) -> list[Message]:
        messages: list[Message] = []
        begin = max(0, self._last.seq - 1)
        rows = await self._jobs.events(row.job_id, row.tenant, begin, _EVENTS_MAX)
        if self._last.seq and not self._is_known(rows):
            self._last = EventId(self._last.lineage, 0)
            messages.append(self._message(WireEvent.RESYNC, resync_data(0)))
            rows = await self._jobs.events(row.job_id, row.tenant, 0, _EVENTS_MAX)
        for each in rows:
            if each.seq > self._last.seq:
                self._last = EventId(each.lineage, each.seq)
                messages.append(self._message(each.type, each.data, each.at))
                self.is_over = each.type in ENDING
        # A client that has the last event of an ended job has everything.
        self.is_over = self.is_over or (row.ended_at is not None and self._last.seq >= row.seq)
        return messages

    def _is_known(self, rows: list[JobEventRow]) -> bool:
        """Whether history has the client's last event. rows: from that one on."""
        last = self._last
        return bool(rows) and rows[0].seq == last.seq and last.lineage in (ANY_LINEAGE, rows[0].lineage)

    def _message(self, message_type: str, data: bytes, at: datetime | None = None) -> Message:
        last = self._last
        message_id = last.text("") if last.seq else ""
        body = _Message(self._job.job_id, last.seq, message_type, at, msgspec.Raw(data))
        return Message(message_type, message_id, _encode(body))


def not_found(job_id: uuid.UUID) -> Problem:
    return Problem("job_not_found", f"{job_id} is not a job of yours")


def _progress(row: JobRow) -> _Progress:
    shown = views.job(row)
    return _Progress(
        shown.received_lines, shown.lines, shown.applied, shown.rejected, shown.rate_lines_s, shown.waits_for
    )


def _is_other(seen: Seen, row: JobRow | None) -> bool:
    return row is None or seen != Seen(row.job_id, row.seq, row.received_line, row.next_line, row.waits_for)

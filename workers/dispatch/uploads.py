"""Uploads that turns make: what a gateway does with one, for lines that are all there.

The log is opened at the first upload. Lines are appended whole, again after a failure, under the turn's own key: what
the graph's file has of them it knows.
"""

import asyncio
import uuid
from typing import Any

from argosy import crash_points
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import (
    LogUnavailableError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    SettingError,
    WorkflowError,
)
from argosy.ids import partition_of
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import JobKind, JobState, bucket_of_graph, job_id_of
from argosy.ingest.oversized import marker_of
from argosy.ingest.record import RECORD_LINES_MAX, EndRecord, IngestRecord, LinesRecord, encode, join_lines
from argosy.log import Entry, LogWriter, Outcome
from argosy.logs.open import open_writer
from argosy.logs.topic import ingest_topic
from argosy.seal.lines import sealed_lines
from argosy.store.ingest import JobRow, Jobs, NewJob, end_signal
from argosy.store.pool import Pool


class Uploads:
    """The uploads of one worker's turns: argosy/workflow/ingests.py."""

    def __init__(self, settings: Settings, dsn: str, pool: Pool, clock: Clock) -> None:
        self._settings = settings
        self._dsn = dsn
        self._jobs = Jobs(pool)
        self._clock = clock
        self._opening = asyncio.Lock()
        self._writer: LogWriter | None = None

    async def start(self, tenant: str, graph: str, incarnation: uuid.UUID, lines: list[bytes], key: str) -> uuid.UUID:
        """See Ingests."""
        size_bytes, size_bytes_max = sum(map(len, lines)), self._settings.payload_size_bytes_max
        if size_bytes > size_bytes_max:
            raise PayloadTooLargeError(f"lines of {size_bytes} bytes, and PAYLOAD_SIZE_BYTES_MAX is {size_bytes_max}")
        line_max = self._settings.ingest_line_size_bytes_max  # the log may take no record with a longer one
        lines = [each if len(each) <= line_max else marker_of(len(each), bytes(16), each) for each in lines]
        writer = await self._opened()
        log_id = (await writer.look()).log_id
        job_id = job_id_of(tenant, graph, incarnation, key)
        new = NewJob(job_id, tenant, graph, incarnation, JobKind.UPLOAD, bucket_of_graph(tenant, graph), key)
        job = await self._jobs.begin(new, log_id)
        if job.state is JobState.RUNNING and job.end_line is None:
            chain = await self._append(writer, job, lines)
            crash_points.reach("upload_made")
            await self._jobs.note_received(job_id, log_id, len(lines), chain, size_bytes, is_end=True)
        return job_id

    async def look(self, tenant: str, job_id: uuid.UUID, turn_id: uuid.UUID, lane: str) -> dict[str, Any]:
        """See Ingests."""
        job = await self._jobs.wait(job_id, tenant, turn_id, lane)
        if job is None:
            raise WorkflowError(f"there is no job {job_id}")
        shape = {
            "job_id": str(job_id),
            "status": job.state.value,
            "code": job.code,
            "reason": job.reason,
            "applied": job.applied,
            "rejected": job.rejected,
        }
        return shape if job.state is not JobState.RUNNING else {**shape, "signal": end_signal(job_id)}

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()

    async def _opened(self) -> LogWriter:
        async with self._opening:
            if self._writer is None:
                topic = ingest_topic(self._settings)
                try:
                    self._writer = await open_writer(self._settings, self._dsn, topic, self._clock)
                except SettingError as error:  # an operator makes the topic
                    raise LogUnavailableError(str(error)) from error
            return self._writer

    async def _append(self, writer: LogWriter, job: JobRow, lines: list[bytes]) -> bytes:
        """Append the whole upload, and return the chain at its end."""
        partition = partition_of(job.bucket, writer.partition_count)
        lines_records, end = self._records(job, lines)
        records: list[IngestRecord] = [await sealed_lines(self._jobs.seals, each) for each in lines_records]
        records.append(end)
        entries = [Entry(partition, job.job_id.bytes, encode(each)) for each in records]
        for appended in await writer.append(entries):
            if appended.outcome is Outcome.NOT_APPENDED:
                raise LogUnavailableError(appended.reason or "the log did not take it")
            if appended.outcome is Outcome.UNKNOWN:
                raise OutcomeUnknownError(appended.reason or "the log did not answer")
        return end.chain

    def _records(self, job: JobRow, lines: list[bytes]) -> tuple[list[LinesRecord], EndRecord]:
        """Return the records of the lines, and that of their end."""
        about = (job.job_id.bytes, job.tenant, job.graph, job.incarnation.bytes, job.made_at_ms)
        records: list[LinesRecord] = []
        first, before = 0, EMPTY
        while first < len(lines):
            end, size_bytes, end_max = first, 0, min(len(lines), first + RECORD_LINES_MAX)
            while end < end_max and size_bytes < self._settings.ingest_record_size_bytes:
                size_bytes += len(lines[end]) + 1
                end += 1
            part = lines[first:end]
            records.append(LinesRecord(*about, first + 1, len(part), before, join_lines(part)))
            first, before = end, chain_of(before, part)
        return records, EndRecord(*about, len(lines), before)

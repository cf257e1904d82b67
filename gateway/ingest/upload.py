"""One upload: its lines become records of the log, and the log's word on them what the job has received.

Promises:
- 202 means that the log has every line and the end, and the job's row says so.
- An upload that ends in any other way leaves a job behind that goes on where this ended: everything that came whole was
  appended, and is noted as far as the log acknowledged it.
- Two uploads under one key are the same up to where both came, or the second is refused: whichever gateway takes them,
  at the same time or later.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.errors import StoreUnavailableError, UploadError
from argosy.gateway.ingest.appending import Appending, Piece
from argosy.gateway.ingest.ingest_log import OpenedLog
from argosy.gateway.ingest.packer import Packed, Packer, Place
from argosy.gateway.ingest.uploads import Uploads
from argosy.gateway.open_requests import OpenRequest
from argosy.gateway.problems import Problem
from argosy.ingest import record
from argosy.ingest.job import JobState
from argosy.ingest.record import LinesRecord
from argosy.log import Entry
from argosy.seal.lines import sealed_lines
from argosy.store.ingest import JobRow, Jobs

_LINES_AT_ONCE: Final = 512  # half a millisecond; then others have their turn
_NOTED_S: Final = 1.0  # as often the job's row hears what the log has
_LEAVE_S: Final = 20.0  # longer than an append may take (LOG_APPEND_TIMEOUT_S)


class Upload:
    """An upload to a job. begin: behind which line it begins."""

    def __init__(
        self,
        job: JobRow,
        packer: Packer,
        opened: OpenedLog,
        jobs: Jobs,
        uploads: Uploads,
        request: OpenRequest,
        clock: Clock,
    ) -> None:
        self._job = job
        self._packer = packer
        self._jobs = jobs
        self._uploads = uploads
        self._request = request
        self._clock = clock
        self._log_id = opened.log_id
        self._partition = opened.partition_of(job.tenant, job.graph)
        has = Place(job.received_line, job.received_chain)
        self._appending = Appending(opened.writer, has, job.received_bytes)
        self._noted = has
        self._is_broken = False
        self._note_due_s = clock.monotonic_s() + _NOTED_S

    async def run(self, lines: AsyncIterator[Sequence[bytes]]) -> JobRow:
        """Take the whole upload, and return its job. Raises: Problem, ClientDisconnect,
        StoreUnavailableError.
        """
        crash_points.reach("upload_begun")
        try:
            async for some in lines:
                for at in range(0, len(some), _LINES_AT_ONCE):
                    began_s = self._clock.monotonic_s()
                    packed = self._packer.take(some[at : at + _LINES_AT_ONCE])
                    worked_s = self._clock.monotonic_s() - began_s
                    await self._append(packed)
                    await self._uploads.pace.rest(worked_s)
                self._uploads.check()
                self._request.check()
                if self._clock.monotonic_s() >= self._note_due_s:
                    await self._note_soon()
            return await self._end()
        except Problem as problem:
            await self._leave()
            problem.extra = self._so_far() | problem.extra
            raise
        except UploadError as error:
            await self._leave()
            raise Problem(error.code, str(error), **self._so_far()) from error
        except BaseException:
            await self._leave()
            raise

    async def _end(self) -> JobRow:
        job, packer = self._job, self._packer
        packer.check_end(job)
        if job.state is not JobState.RUNNING:
            return job
        if job.end_line is None or job.received_line < job.end_line:
            await self._append(packer.rest())
            await self._check_others()
            value = record.encode(packer.end())
            await self._appending.add(Piece(self._entry(value), packer.place, 0))
            await self._appending.finish()
        crash_points.reach("upload_ended")
        await self._note(is_end=True)
        found = await self._jobs.find(job.job_id, job.tenant)
        if found is not None and (found.end_line, found.end_chain) not in ((None, None), packer.place):
            raise packer.mismatch(f"under this key came {found.end_line} other lines at the same time")
        return found or job

    async def _check_others(self) -> None:
        """Raise Problem when another upload under the key, which began alike, has ended meanwhile, or has come further.

        So that one goes on. Once this one's end stands in the log behind lines that it does not have, both would fail:
        the graph's file has these lines by then, and nobody could call the job done. That is left for uploads that end
        before the other one's lines were noted, within a second or so.
        """
        job = self._job
        found = await self._jobs.find(job.job_id, job.tenant)
        if found is not None and found.log_id == self._log_id and found.state is JobState.RUNNING:
            self._packer.check_end(found)

    async def _append(self, packed: Sequence[Packed]) -> None:
        if self._job.state is not JobState.RUNNING:
            return
        for each in packed:
            size_bytes = len(each.record.lines) + 1
            telemetry.UPLOADED_BYTES.inc(size_bytes)
            value = record.encode(await self._sealed(each.record))
            await self._appending.add(Piece(self._entry(value), each.through, size_bytes))

    async def _sealed(self, lines: LinesRecord) -> LinesRecord:
        """Return a record as the log gets it. After one that cannot be sealed nothing more is appended: a record behind
        a hole is of no use, and the log would be taken to have what is in front of it.
        """
        if self._is_broken:
            raise StoreUnavailableError("lines in front of these could not be sealed")
        self._is_broken = True
        sealed = await sealed_lines(self._jobs.seals, lines)
        self._is_broken = False
        return sealed

    def _entry(self, value: bytes) -> Entry:
        return Entry(self._partition, self._job.job_id.bytes, value)

    async def _note_soon(self) -> None:
        """Note what the log has, if Postgres answers: else it is noted later. Raises Problem when the job has ended."""
        with suppress(StoreUnavailableError, TimeoutError):
            await self._note(is_end=False)
        self._note_due_s = self._clock.monotonic_s() + _NOTED_S

    async def _note(self, *, is_end: bool) -> None:
        appending = self._appending
        if self._job.state is not JobState.RUNNING or (appending.place == self._noted and not is_end):
            return
        line, digest = self._packer.place if is_end else appending.place
        is_running = await self._jobs.note_received(
            self._job.job_id, self._log_id, line, digest, appending.size_bytes, is_end=is_end
        )
        self._noted = appending.place
        if not is_running and not is_end:
            raise Problem("job_ended", "the job has ended while this was sent, as it may when it is cancelled")

    async def _leave(self) -> None:
        """Let the log have what came whole, and the row what the log has: then the upload can go on from there."""
        with suppress(Problem, StoreUnavailableError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                with suppress(Problem, StoreUnavailableError):
                    await self._append(self._packer.rest())
                await self._appending.settle()
                await self._note(is_end=False)

    def _so_far(self) -> dict[str, Any]:
        line, digest = self._appending.place
        return {"job_id": str(self._job.job_id), "received_lines": line, "chain": digest.hex()}

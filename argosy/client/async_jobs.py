"""`AsyncJobHandle`: a job of ingest, for asyncio."""

from collections.abc import AsyncGenerator
from typing import Final

from argosy.client import calls
from argosy.client.async_asking import AsyncAsking
from argosy.client.deadline import Deadline
from argosy.client.job import Job, JobEvent, Reject, decode_job, decode_job_event, decode_rejects, done_of

_POLL_S_MIN: Final = 0.05  # small uploads are done within moments; doubled each time
_POLL_S_MAX: Final = 1.0
_REJECTS_AT_ONCE: Final = 1_000


class AsyncJobHandle:
    """A handle of one job. Its methods raise the same errors as the client's."""

    def __init__(self, asking: AsyncAsking, job_id: str) -> None:
        self._asking = asking
        self.job_id = job_id

    def __repr__(self) -> str:
        return f"<job {self.job_id}>"

    async def get(self) -> Job:
        """Return the job as it is now."""
        return decode_job((await self._asking.ask(calls.job(self.job_id))).content)

    async def wait(self, *, timeout_s: float | None = None) -> Job:
        """Wait for the job's end, and return it: what was applied can be read then. Raises JobError when it failed or
        was cancelled, TimeoutError when it has not ended within timeout_s; it goes on.
        """
        deadline = Deadline(self._asking.clock, timeout_s, what="job")
        pause_s = _POLL_S_MIN
        while True:
            job = decode_job((await self._asking.ask(calls.job(self.job_id), deadline)).content)
            if job.has_ended:
                return done_of(job)
            await self._asking.clock.sleep(min(pause_s, deadline.left_s()))
            pause_s = min(pause_s * 2, _POLL_S_MAX)

    def events(self, *, after: str = "") -> AsyncGenerator[JobEvent, None]:
        """Yield the job's events and its progress until it has ended: from its beginning, or behind the event with the
        id `after`.
        """
        return self._asking.follow(calls.job_events(self.job_id), decode_job_event, after)

    async def rejects(self) -> AsyncGenerator[Reject, None]:
        """Yield the lines that were refused so far, in order."""
        after: tuple[int, int] | None = None
        while True:
            answer = await self._asking.ask(calls.rejects(self.job_id, after, _REJECTS_AT_ONCE))
            page = decode_rejects(answer.content)
            for each in page:
                after = each.partition, each.line
                yield each
            if len(page) < _REJECTS_AT_ONCE:
                return

    async def cancel(self) -> Job:
        """Cancel the job; what was applied stays. Raises ProblemError (job_ended) when it has ended in another way."""
        return decode_job((await self._asking.ask(calls.cancel_job(self.job_id))).content)

"""Packs the lines of an upload into records, behind those that the log has already. Pure.

Lines that the log has are only digested. If their chain is not the log's, this upload is another one than that under
the same key before: then nothing of it goes into the log.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from argosy.gateway.problems import Problem
from argosy.ingest.chain import chain
from argosy.ingest.record import RECORD_LINES_MAX, EndRecord, LinesRecord, join_lines
from argosy.store.ingest import JobRow

LINE_MAX: Final = 2**63 - 1


class Place(NamedTuple):
    """A place behind a line of an upload: its number, and the chain up to it."""

    line: int
    chain: bytes


class Packed(NamedTuple):
    """A record, and the place behind its last line."""

    record: LinesRecord
    through: Place


class Packer:
    """Packs one upload. begin: behind which line it begins. place: behind the last line that was taken."""

    def __init__(self, job: JobRow, begin: Place, record_size_bytes: int) -> None:
        self.place = begin
        self._job = job
        self._record_size_bytes = record_size_bytes
        self._lines_max = LINE_MAX if job.end_line is None else job.end_line
        self._has = Place(job.received_line, job.received_chain)
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self._before = b""

    def take(self, lines: Sequence[bytes]) -> list[Packed]:
        """Take the next lines; return the records that are full. Raises Problem (idempotency_mismatch)."""
        records: list[Packed] = []
        number, digest = self.place
        for line in lines:
            before, digest = digest, chain(digest, line)
            number += 1
            if number > self._lines_max:
                raise self.mismatch(f"more than {self._lines_max} lines were sent now, and so many came first")
            if number <= self._has.line:
                if number == self._has.line and digest != self._has.chain:
                    raise self.mismatch(f"the first {number} lines differ from those that came first under this key")
                continue
            if not self._lines:
                self._before = before
            self._lines.append(line)
            self._size_bytes += len(line) + 1
            if self._size_bytes >= self._record_size_bytes or len(self._lines) >= RECORD_LINES_MAX:
                records.append(self._packed(Place(number, digest)))
        self.place = Place(number, digest)
        return records

    def rest(self) -> list[Packed]:
        """Return the record of the lines that are left, if there are any."""
        return [self._packed(self.place)] if self._lines else []

    def end(self) -> EndRecord:
        """Return the record that says that the upload ends here. Raises Problem (idempotency_mismatch)."""
        job = self._job
        self.check_end(job)
        return EndRecord(job.job_id.bytes, job.tenant, job.graph, job.incarnation.bytes, job.made_at_ms, *self.place)

    def check_end(self, job: JobRow) -> None:
        """Raise Problem (idempotency_mismatch) unless the upload may end here. job: as it is by now."""
        line, digest = self.place
        if job.end_line is not None and (job.end_line, job.end_chain) != (line, digest):
            raise self.mismatch(f"{line} lines were sent now, and under this key came {job.end_line} others first")
        if job.end_line is None and line < job.received_line:
            raise self.mismatch(f"{line} lines were sent now, and {job.received_line} came under this key before")

    def mismatch(self, detail: str) -> Problem:
        """Return the problem with which the upload is refused. What was not appended yet never is."""
        self._lines.clear()
        return Problem("idempotency_mismatch", detail, job_id=str(self._job.job_id))

    def _packed(self, through: Place) -> Packed:
        lines, self._lines, self._size_bytes = self._lines, [], 0
        job = self._job
        record = LinesRecord(
            job.job_id.bytes,
            job.tenant,
            job.graph,
            job.incarnation.bytes,
            job.made_at_ms,
            through.line - len(lines) + 1,
            len(lines),
            self._before,
            join_lines(lines),
        )
        return Packed(record, through)

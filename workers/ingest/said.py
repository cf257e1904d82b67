"""What is to be said of a job, and how much of it goes into one call."""

from collections.abc import Iterator, Sequence
from typing import Final

from argosy.graph.feeds import FeedState, RefusedLine
from argosy.ingest.job import WaitsFor
from argosy.ingest.record import EndRecord
from argosy.store.ingest_notes import JobNote, Verdict
from argosy.workers.ingest.decision import Ending
from argosy.workers.ingest.feed import Feed

_JOBS_AT_ONCE: Final = 100
_REJECTS_AT_ONCE: Final = 2_000  # both in one call: some 50 ms


class Said:
    """What is to be said of one job. Later words replace earlier ones. endings: what the ends of its uploads came to,
    which stood in the log: of two under one key, Postgres knows which is the job's. failure: what ends it without.
    """

    __slots__ = ("endings", "failure", "feed", "rejects", "state", "waits_for")

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.state: FeedState | None = None
        self.waits_for: WaitsFor | None = None
        self.endings: dict[EndRecord, Ending] = {}
        self.failure: Ending | None = None
        self.rejects: list[RefusedLine] = []

    def end(self, ending: Ending, record: EndRecord | None) -> None:
        """Take in how the job ends. What was done stays so, whatever the file takes of another upload after it."""
        if record is None:
            self.failure = ending
        elif (known := self.endings.get(record)) is None or known.verdict is not Verdict.DONE:
            self.endings[record] = ending

    @property
    def has_end(self) -> bool:
        return bool(self.endings) or self.failure is not None

    @property
    def failed(self) -> Ending | None:
        """How the job has failed, by what is to be said, if it did."""
        endings = (*self.endings.values(), *([] if self.failure is None else [self.failure]))
        return next((each for each in endings if each.verdict is Verdict.FAILED), None)

    def notes(self, rate_lines_s: float) -> list[JobNote]:
        """Return what is said: once, or once for each end."""
        ends: list[tuple[EndRecord | None, Ending]] = list(self.endings.items())
        if self.failure is not None or not ends:
            ends.append((None, self.failure or Ending(Verdict.NOTHING)))
        return [self._note(rate_lines_s, *each) for each in ends]

    def _note(self, rate_lines_s: float, end: EndRecord | None, ending: Ending) -> JobNote:
        feed, state = self.feed, self.state
        return JobNote(
            feed.job_id,
            feed.tenant,
            feed.graph,
            feed.incarnation,
            feed.bucket,
            feed.made_at,
            None if state is None else state.next,
            None if state is None else state.chain,
            None if state is None else state.applied,
            None if state is None else state.rejected,
            rate_lines_s,
            self.waits_for,
            None if end is None else end.line_count,
            None if end is None else end.chain,
            *ending,
        )

    def follow_with(self, newer: "Said") -> None:
        """Take in what came later."""
        self.state = newer.state or self.state
        self.waits_for = self.waits_for if newer.waits_for is None else newer.waits_for
        for record, ending in newer.endings.items():
            self.end(ending, record)
        self.failure = newer.failure or self.failure
        self.rejects.extend(newer.rejects)


def parts(said: Sequence[Said]) -> Iterator[list[Said]]:
    """Yield what is said in one call each: at least one job."""
    part: list[Said] = []
    rejects = 0
    for each in said:
        if part and (len(part) >= _JOBS_AT_ONCE or rejects + len(each.rejects) > _REJECTS_AT_ONCE):
            yield part
            part, rejects = [], 0
        part.append(each)
        rejects += len(each.rejects)
    if part:
        yield part

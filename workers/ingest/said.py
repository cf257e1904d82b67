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
    """What is to be said of one job. Later words replace earlier ones, but for an end, which stays."""

    __slots__ = ("end", "ending", "feed", "rejects", "state", "waits_for")

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.state: FeedState | None = None
        self.waits_for: WaitsFor | None = None
        self.end: EndRecord | None = None
        self.ending = Ending(Verdict.NOTHING)
        self.rejects: list[RefusedLine] = []

    def note(self, rate_lines_s: float) -> JobNote:
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
            None if self.end is None else self.end.line_count,
            None if self.end is None else self.end.chain,
            *self.ending,
        )

    def follow_with(self, newer: "Said") -> None:
        """Take in what came later."""
        self.state = newer.state or self.state
        self.waits_for = self.waits_for if newer.waits_for is None else newer.waits_for
        self.end = newer.end or self.end
        if newer.ending.verdict is not Verdict.NOTHING:
            self.ending = newer.ending
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

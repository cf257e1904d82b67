"""One job's feed into its graph, as this worker knows it: what the file had when it was last asked."""

import uuid
from datetime import UTC, datetime
from typing import Final

from argosy.graph.feeds import Fed, FeedBatch, FeedState, RefusedLine, source_of
from argosy.ingest.job import bucket_of_graph, feed_of
from argosy.ingest.record import IngestRecord, LinesRecord
from argosy.workers.ingest.decision import Piece
from argosy.workers.ingest.partition import Partition, Slot

_RATED_S: Final = 2.0  # over which a rate is taken


class Held:
    """A record that was read and is not done. is_asked: its file was asked after it was read."""

    __slots__ = ("feed", "is_asked", "is_sent", "partition", "record", "slot")

    def __init__(self, feed: "Feed", record: IngestRecord, partition: Partition, slot: Slot) -> None:
        self.feed = feed
        self.record = record
        self.partition = partition
        self.slot = slot
        self.is_asked = self.is_sent = False


class Feed:
    """A job's feed. state: None: its file was not asked yet. is_looked_up: Postgres was asked whether the job has
    ended. is_over: the job has ended, and what comes of it is dropped. is_mixed: there were foreign lines.

    held_count: of records that are held. A feed is kept as long as there are any: of a job's foreign lines, and of its
    refused ones, no two things may be known at once.

    refused_through: up to which line refused ones are said, or about to be. confirmed: up to which they are in
    Postgres. is_cut: the file has more of them, which it tells when these are confirmed.
    """

    __slots__ = (
        "bucket",
        "confirmed",
        "graph",
        "held_count",
        "incarnation",
        "is_cut",
        "is_looked_up",
        "is_mixed",
        "is_over",
        "job_id",
        "made_at_ms",
        "rate_lines_s",
        "rated",
        "refused_through",
        "state",
        "tenant", )  # fmt: skip

    def __init__(self, record: IngestRecord) -> None:
        self.job_id = uuid.UUID(bytes=record.job_id)
        self.tenant = record.tenant
        self.graph = record.graph
        self.incarnation = uuid.UUID(bytes=record.incarnation)
        self.made_at_ms = record.made_at_ms
        self.bucket = bucket_of_graph(record.tenant, record.graph)
        self.state: FeedState | None = None
        self.is_looked_up = self.is_over = self.is_cut = self.is_mixed = False
        self.held_count = self.refused_through = self.confirmed = 0
        self.rate_lines_s = 0.0
        self.rated: tuple[float, int] | None = None

    @property
    def made_at(self) -> datetime:
        return datetime.fromtimestamp(self.made_at_ms / 1_000, UTC)

    def batch_of(self, piece: Piece) -> FeedBatch:
        """Return what sends these lines."""
        name = feed_of(self.job_id)
        return FeedBatch(name, self.made_at_ms, *piece, confirmed=self.confirmed, source=source_of(name))

    def question(self) -> FeedBatch:
        """Return a batch of no lines: it asks how the feed is, and for refused lines behind the confirmed ones."""
        at = 1 if self.state is None else self.state.next
        chain = bytes(16) if self.state is None else self.state.chain
        return self.batch_of(Piece(at, at, chain, chain, b""))

    def take(self, fed: Fed) -> list[RefusedLine]:
        """Take in an answer; return those refused lines that were not told before."""
        self.state = fed.state
        self.is_cut = fed.is_cut
        new = [line for line in fed.refused if line.line > self.refused_through]
        if new:
            self.refused_through = new[-1].line
        return new

    def forget(self) -> None:
        """Know nothing of the file, nor of what is in Postgres."""
        self.state = self.rated = None
        self.is_looked_up = self.is_over = self.is_cut = False
        self.refused_through = self.confirmed = 0

    def has_all_refused(self, through: int) -> bool:
        """Whether every refused line up to this one is known here."""
        return not self.is_cut or self.refused_through >= through

    def rate_of(self, now_s: float) -> float:
        """Return how many lines a second the file took lately."""
        if self.state is None:
            return 0.0
        if self.rated is None:
            self.rated = (now_s, self.state.next)
        since_s, line = self.rated
        if now_s - since_s >= _RATED_S:
            self.rate_lines_s = (self.state.next - line) / (now_s - since_s)
            self.rated = (now_s, self.state.next)
        return self.rate_lines_s


def last_line_of(record: IngestRecord) -> int:
    """Return the number of the last line that a record speaks of."""
    return record.end_line - 1 if isinstance(record, LinesRecord) else record.line_count

"""What becomes of a record of the log, by what the graph's file has of its feed. Pure.

The file waits for one line, `next`, and knows the chain of all before it. A record of lines `first` to `end` is then:

- known: end <= next. Its lines were done, by whoever sent them. (Whether they were these very lines shows at the end of
  the upload, whose chain is compared.)
- next: first <= next < end, and the record's own chain in front of `next` is the file's. What is behind `next` is sent.
- foreign: first <= next < end, and the chains differ. Another upload under the same key has brought other lines. They
  are dropped, and with them all that follow: the first line that differs makes every chain behind it differ.
- ahead: next < first. Lines between are in no file. They are not in the log before this record either, which is read in
  order, and gateways answer 202, and move `received_line`, only when everything up to there was acknowledged, in order.
  So whoever sent this record was told 503 or 504, and sends again from the hole on, behind it. It is dropped.

A file only moves on, so what is known by an old state stays known, and what is sent by an old state is not done again.
But what is ahead or foreign by an old state may be next by now. So these two count only by a state that the file gave
after the record was read (`needs_look`); and so do all ends of an upload but the good one.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from argosy.graph.feeds import LINES_MAX, FeedState
from argosy.ingest.chain import chain_of
from argosy.ingest.job import JobFailure
from argosy.ingest.record import EndRecord, LinesRecord, split_lines
from argosy.store.ingest_notes import Verdict

# A call is over in 80 ms or so, of nodes in half of that; when others wait for the graph, its shard leaves some of it.
# It has a little over half of a full record, which ends with the line that fills it: two calls, and none for that line
# alone.
SENT_SIZE_BYTES: Final = 139_264


class Fate(Enum):
    """What becomes of a record of lines."""

    KNOWN = "known"
    NEXT = "next"
    FOREIGN = "foreign"
    AHEAD = "ahead"


def needs_look(fate: Fate) -> bool:
    """Whether this counts only when the file was asked after the record was read."""
    return fate in (Fate.AHEAD, Fate.FOREIGN)


class Piece(NamedTuple):
    """Lines that are sent at once. end: the number behind the last one. before, after: the chains around them."""

    first: int
    end: int
    before: bytes
    after: bytes
    lines: bytes


def fate_of(record: LinesRecord, state: FeedState) -> Fate:
    """Return what becomes of a record whose feed is in this state."""
    if record.end_line <= state.next:
        return Fate.KNOWN
    if state.next < record.first_line:
        return Fate.AHEAD
    if state.next == record.first_line:
        return Fate.NEXT if record.before == state.chain else Fate.FOREIGN
    done = split_lines(record)[: state.next - record.first_line]
    return Fate.NEXT if chain_of(record.before, done) == state.chain else Fate.FOREIGN


def piece_of(record: LinesRecord, first: int, before: bytes) -> Piece:
    """Return the lines of a record from `first` on that are sent at once: at least one, and else at most as many as
    SENT_SIZE_BYTES hold and a batch may have. before: the chain in front of them.
    """
    lines: Sequence[bytes] = split_lines(record)[first - record.first_line :][:LINES_MAX]
    if len(record.lines) > SENT_SIZE_BYTES:
        lines = lines[: _count_within(lines)]
    is_whole = len(lines) == record.line_count
    sent = record.lines if is_whole else b"\n".join(lines)
    return Piece(first, first + len(lines), before, chain_of(before, lines), sent)


def _count_within(lines: Sequence[bytes]) -> int:
    size_bytes = 0
    for count, line in enumerate(lines):
        size_bytes += len(line) + 1
        if size_bytes > SENT_SIZE_BYTES:
            return max(1, count)
    return len(lines)


class Ending(NamedTuple):
    """What a file says about the end of an upload. code, reason: of a failure."""

    verdict: Verdict
    code: str = ""
    reason: str = ""


def ending_of(record: EndRecord, state: FeedState, *, is_mixed: bool) -> Ending:
    """Return what the end of an upload comes to: all its lines stood in the log before it, and were looked at.

    A file that has them all, and these very ones, makes the job done. One that has others at their end, or more, was
    given another upload under the same key. One that has fewer was never given the rest: the log has lost it; but when
    there were foreign lines (is_mixed), other lines came first.
    """
    through = state.next - 1
    if through == record.line_count and state.chain == record.chain:
        return Ending(Verdict.DONE)
    if through >= record.line_count or is_mixed:
        words = f"an upload of other lines came under the same key: of that one {through} lines were applied"
        return Ending(Verdict.FAILED, JobFailure.IDEMPOTENCY_MISMATCH, words)
    return Ending(Verdict.LOST)

"""Feeds: numbered sequences of lines into one graph, each of which takes effect exactly once. Pure.

A graph's file keeps, for each of its feeds, the number of the next line and the chain of all lines before it, in the
transaction that does them. So it needs neither a claim nor an order of those who send:

- A batch that begins with the next line, and whose chain before it is the file's, is done: each line in order, and for
  itself. What cannot be done is refused: it is counted, and its reason is kept as long as the feed.
- Of such a batch only the first lines may be done, one at least, when others wait for the graph. The rest is sent
  again, as a batch that begins with what is the next line then.
- Of any other batch nothing is done. Whoever sent it sees what it was from the answer, which has the feed as it is now:
  it was done before, it comes too early, or its lines are not those of this feed.

Lines are JSON, as argosy/ingest/line_ops.py reads them, with a line end between two of them. One that is blank counts,
and does nothing.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.facts import NO_SOURCE, Source
from argosy.graph.ops import INT_MAX, fault_of_name
from argosy.ingest.chain import EMPTY, SIZE_BYTES, chain_of

FIRST_LINE: Final = 1
LINES_MAX: Final = 20_000  # of one batch: some 100 ms, if they are as short as they can be
FEEDS_MAX: Final = 1_000  # that one call asks for
REFUSED_MAX: Final = 500  # lines of one answer: with their reasons and starts less than a mebibyte
REASON_LENGTH_MAX: Final = 500

Lines = Sequence[tuple[int, bytes]]  # with their numbers


class FeedBatch(NamedTuple):
    """Lines of a feed, or none, which asks how it is.

    made_at_ms: Unix milliseconds, when the feed came into being; 0: it is known as long as its graph is. first: the
    number of the first line. end: the one behind the last line; first for no lines. before, after: the chain in front
    of the first line, and at the last one. confirmed: up to which line whoever sends this has the refused ones.

    numbers: of the lines, in their order, when some numbers may have none: then a chain is whatever tells this feed
    from others. Otherwise each number has a line, and chains are those of argosy/ingest/chain.py.
    """

    feed: str
    made_at_ms: int
    first: int
    end: int
    before: bytes
    after: bytes
    lines: bytes
    confirmed: int = 0
    source: Source = NO_SOURCE
    numbers: Sequence[int] = ()


class FeedState(NamedTuple):
    """A feed, as its graph's file has it. next: the number of the line that it waits for. chain: of those before.
    applied, rejected: how many of them were done, and refused; those that were blank are neither.
    """

    feed: str
    next: int
    chain: bytes
    applied: int
    rejected: int


class RefusedLine(NamedTuple):
    """A line that could not be done. code: of the error. start: its first bytes."""

    line: int
    code: str
    reason: str
    start: bytes


class Fed(NamedTuple):
    """The answer to a batch, whether it was done now, before, or not at all.

    refused: lines behind the confirmed ones, the first of them. is_cut: there are more: a batch that confirms these is
    answered with those behind. version: of the graph.
    """

    state: FeedState
    refused: list[RefusedLine]
    is_cut: bool
    version: int


def source_of(feed: str) -> Source:
    """Return what facts say that lines of a job's feed wrote."""
    return Source(step_key=f"ingest/{feed}")


def new_feed(feed: str) -> FeedState:
    """Return a feed of which nothing was done."""
    return FeedState(feed, FIRST_LINE, EMPTY, 0, 0)


def is_next(batch: FeedBatch, state: FeedState) -> bool:
    """Whether a batch has lines, and they are those that the feed waits for."""
    return batch.end > batch.first and (batch.first, batch.before) == (state.next, state.chain)


def end_of(batch: FeedBatch, lines: Lines, count: int) -> tuple[int, bytes]:
    """Return the number that a feed waits for when so many of a batch's lines were done, and the chain there."""
    if count == len(lines):
        return batch.end, batch.after
    chain = batch.after if batch.numbers else chain_of(batch.before, (line for _, line in lines[:count]))
    return lines[count][0], chain


def numbered_lines(batch: FeedBatch) -> Lines:
    """Return the lines of a batch with their numbers. Raises GraphInputError when the batch contradicts itself, and
    GraphTooLargeError.
    """
    if fault := _fault_of(batch):
        raise GraphInputError(f"feed: {fault}")
    if batch.end == batch.first:
        return []
    lines = batch.lines.split(b"\n")
    if len(lines) > LINES_MAX:
        raise GraphTooLargeError(f"feed: a batch has at most {LINES_MAX} lines, not {len(lines)}")
    if not batch.numbers:
        if len(lines) != batch.end - batch.first:
            raise GraphInputError(f"feed: {batch.end - batch.first} lines are said to come, and {len(lines)} do")
        if chain_of(batch.before, lines) != batch.after:
            raise GraphInputError("feed: the chain is not that of the lines")
        return list(enumerate(lines, batch.first))
    if len(lines) != len(batch.numbers):
        raise GraphInputError(f"feed: there are {len(batch.numbers)} numbers of {len(lines)} lines")
    return list(zip(batch.numbers, lines, strict=True))


def _fault_of(batch: FeedBatch) -> str:
    if fault := fault_of_name(batch.feed):
        return f"its name {fault}"
    if not FIRST_LINE <= batch.first <= batch.end <= INT_MAX:
        return f"there are no lines from number {batch.first} to {batch.end}"
    if batch.made_at_ms < 0 or batch.confirmed < 0:
        return "made_at_ms and confirmed are not negative"
    if len(batch.before) != SIZE_BYTES or len(batch.after) != SIZE_BYTES:
        return f"a chain has {SIZE_BYTES} bytes"
    if batch.end == batch.first and (batch.lines or batch.numbers or batch.before != batch.after):
        return "a batch of no lines has none, and one chain"
    within = (batch.first - 1, *batch.numbers, batch.end)
    if batch.numbers and any(one >= other for one, other in pairwise(within)):
        return "the numbers of lines rise, within those of the batch"
    return ""

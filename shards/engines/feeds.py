"""Takes lines of feeds into a graph's file, by the rule of argosy/graph/feeds.py.

Rules:
- Everything is in the one transaction: what lines do, the feed's next line and chain, and the lines that were refused.
- Nodes without conditions are written in runs. What may fail half done is in a savepoint of its own.
- Lines behind the first are left undone when the batch is to make way for others. What was read is written, and told
  to what is derived, in parts: so what is left to do then is little.
- A feed is forgotten when it was made, and used last, longer ago than the horizon: a few in every commit.
  feed_forgotten is when the youngest of them was made: so lines of a feed that may be forgotten are refused, whatever
  clocks do. Feeds that are younger were never here, or still are; none that is made from now on is as old.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw

from argosy.errors import GraphConditionError, GraphInputError, KeyExpiredError
from argosy.graph.feeds import (
    REASON_LENGTH_MAX,
    REFUSED_MAX,
    FeedBatch,
    FeedState,
    Lines,
    RefusedLine,
    end_of,
    is_next,
    new_feed,
)
from argosy.graph.forgetting import ForgetFeed
from argosy.graph.ops import INT_MAX, DeleteNode, MergeProps, Op, UpsertNode
from argosy.ingest.chain import EMPTY
from argosy.ingest.documents import HAS_CHUNK, ReplaceDocument
from argosy.ingest.line_ops import Together, op_of
from argosy.ingest.oversized import START_SIZE_BYTES_MAX, oversized
from argosy.ingest.refusal import refusal_of
from argosy.shards.engine import Interrupt
from argosy.shards.engines.changes import Changes, RefusedError
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "feeds")
_FORGOTTEN: Final = 2  # in one commit: with many refused lines, some milliseconds
_PART: Final = 200  # lines: some 4 ms of nodes, and with an index of words 10 ms; larger parts are hardly faster


class Feeding:
    """One batch of a feed on its way into the file. ops: what took effect. applied, rejected: how many lines were.
    size_bytes: of the lines that were done.
    """

    def __init__(self, connection: apsw.Connection, changes: Changes, *, horizon_ms: int, now_ms: int) -> None:
        self._connection = connection
        self._changes = changes
        self._horizon_ms = horizon_ms
        self._now_ms = now_ms
        self._has_feeds = has_feeds(connection)
        self._run: list[UpsertNode] = []
        self._refused: list[RefusedLine] = []
        self.applied = self.rejected = self.size_bytes = 0
        self.ops: list[Op] = []

    def take(self, batch: FeedBatch, lines: Lines, rejects_max: int, interrupt: Interrupt) -> FeedState:
        """Do the lines if they are next, or the first of them, and return the feed as it is then. rejects_max: lines of
        one feed that are kept when they are refused; all of them are counted. Raises KeyExpiredError.
        """
        state = self._find(batch)
        if not is_next(batch, state):
            return state
        count = self._do_lines(lines, max(0, rejects_max - state.rejected), interrupt)
        applied, rejected = state.applied + self.applied, state.rejected + self.rejected
        state = FeedState(batch.feed, *end_of(batch, lines, count), applied, rejected)
        self._store(state, batch.made_at_ms)
        return state

    def _do_lines(self, lines: Lines, kept_max: int, interrupt: Interrupt) -> int:
        """Do lines until it is interrupted, and return how many were done. kept_max: of refused ones."""
        count = 0
        for number, line in lines:
            if count and interrupt():
                break
            count += 1
            self.size_bytes += len(line) + 1
            try:
                self._do_line(line)
            except (RefusedError, GraphInputError) as error:
                self.rejected += 1
                if self.rejected <= kept_max:
                    self._refused.append(_refused(number, line, error))
            if count % _PART == 0:
                self._write_part()
        self._write_part()
        return count

    def refused_lines(self, batch: FeedBatch) -> tuple[list[RefusedLine], bool]:
        """Return the first lines that were refused behind the confirmed ones, and whether there are more. All stay as
        long as the feed: whoever confirmed them may go back to before it had them.
        """
        if not self._has_feeds:
            return [], False
        rows = self._connection.execute(_SQL["find_refused"], (batch.feed, batch.confirmed, REFUSED_MAX + 1))
        refused = [RefusedLine(*row) for row in rows]
        return refused[:REFUSED_MAX], len(refused) > REFUSED_MAX

    def _find(self, batch: FeedBatch) -> FeedState:
        if (state := find_feed(self._connection, batch.feed, has_feeds=self._has_feeds)) is not None:
            return state
        if self._has_feeds and 0 < batch.made_at_ms <= forgotten_ms(self._connection):
            raise KeyExpiredError(f"feed {batch.feed!r} is so old that nobody knows what was done of it")
        return new_feed(batch.feed)

    def _do_line(self, line: bytes) -> None:
        op = op_of(line)
        if op is None:
            return
        if isinstance(op, UpsertNode) and not (op.vectors or op.if_absent or op.if_version is not None):
            self._run.append(op)
        else:
            self._write_run()
            self._do(op)
        self.applied += 1

    def _do(self, op: Op | ReplaceDocument | Together) -> None:
        if isinstance(op, ReplaceDocument | Together):
            done: list[Op] = []
            with self._changes.whole():
                for each in self._ops_of(op):
                    self._changes.do(each)
                    done.append(each)
            self.ops.extend(done)
            return
        if isinstance(op, UpsertNode | MergeProps) and op.vectors:
            with self._changes.whole():
                self._changes.do(op)
        else:
            self._changes.do(op)
        self.ops.append(op)

    def _ops_of(self, op: Op | ReplaceDocument | Together) -> Iterator[Op]:
        """Yield what is done, each when all before it is."""
        match op:
            case Together():
                for part in op.parts:
                    yield from self._ops_of(part)
            case ReplaceDocument():
                yield from self._lost_chunks(op)
                yield from op.ops
            case _:
                yield op

    def _lost_chunks(self, document: ReplaceDocument) -> list[Op]:
        """Return operations that delete the chunks that a document has no more. Others may have linked it to nodes by
        the same type: these stay.
        """
        kept = set(document.chunk_ids)
        rows = self._connection.execute(_SQL["chunks_of_document"], (document.id, HAS_CHUNK))
        return [DeleteNode(each) for (each,) in rows if each not in kept and each.startswith(f"{document.id}#")]

    def _write_part(self) -> None:
        self._write_run()
        self._changes.tell()

    def _write_run(self) -> None:
        if len(self._run) > 1:
            self._changes.upsert_nodes(self._run)
        elif self._run:
            self._changes.do(self._run[0])
        self.ops.extend(self._run)
        self._run.clear()

    def _store(self, state: FeedState, made_at_ms: int) -> None:
        if not self._has_feeds:
            self._connection.execute(_SQL["make_feeds"])
            self._has_feeds = True
        used_at_ms = max(self._now_ms, made_at_ms)  # whoever made the feed may have another clock
        self._connection.execute(_SQL["upsert_feed"], (*state, made_at_ms, used_at_ms))
        self._connection.executemany(_SQL["insert_refused"], [(state.feed, *each) for each in self._refused])
        forgotten = self._connection.execute(_SQL["forget_feeds"], (self._now_ms - self._horizon_ms, _FORGOTTEN))
        for feed, its_made_at_ms in forgotten.fetchall():
            self._connection.execute(_SQL["forget_refused"], (feed,))
            self._connection.execute(_SQL["set_forgotten"], (its_made_at_ms,))


def _refused(number: int, line: bytes, error: RefusedError | GraphInputError) -> RefusedLine:
    if (refusal := refusal_of(line)) is not None:
        return RefusedLine(number, refusal.code, refusal.reason[:REASON_LENGTH_MAX], refusal.start)
    code = error.code if isinstance(error, GraphInputError) else GraphConditionError.code
    reason = str(error)[:REASON_LENGTH_MAX].encode(errors="replace").decode()
    over = oversized(line)
    return RefusedLine(number, code, reason, (line if over is None else over.start)[:START_SIZE_BYTES_MAX])


def end_feeds(connection: apsw.Connection, feeds: Sequence[ForgetFeed], now_ms: int) -> None:
    """Let feeds wait for a line that never comes, whether anything was done of them or not, and forget what they
    refused. In a transaction of the caller's.
    """
    if not has_feeds(connection):
        connection.execute(_SQL["make_feeds"])
    for each in feeds:
        used_at_ms = max(now_ms, each.made_at_ms)
        connection.execute(_SQL["end_feed"], (each.feed, INT_MAX, EMPTY, each.made_at_ms, used_at_ms))
        connection.execute(_SQL["forget_refused"], (each.feed,))


def has_feeds(connection: apsw.Connection) -> bool:
    """Return whether the file has the tables of feeds."""
    return connection.execute(_SQL["has_feeds"]).fetchone() is not None


def forgotten_ms(connection: apsw.Connection) -> int:
    """Return when the youngest feed was made that was forgotten. connection: to a file that has feeds."""
    made_ms: int = connection.execute(_SQL["forgotten_ms"]).get
    return made_ms


def find_feed(connection: apsw.Connection, feed: str, *, has_feeds: bool) -> FeedState | None:
    """Return a feed as it is."""
    row = connection.execute(_SQL["find_feed"], (feed,)).fetchone() if has_feeds else None
    return None if row is None else FeedState(*row)


def find_feeds(connection: apsw.Connection, names: Sequence[str]) -> list[FeedState | None]:
    """Return feeds as they are; None for those that are not there."""
    is_there = has_feeds(connection)
    return [find_feed(connection, name, has_feeds=is_there) for name in names]

"""Feeds for tests: lines, cut into batches as a test wants them."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, count
from typing import Any, Final, NamedTuple

import msgspec

from argosy.graph.facts import NO_SOURCE, GraphRef, Source
from argosy.graph.feeds import Fed, FeedBatch, FeedState
from argosy.graph.ops import Op
from argosy.ingest.chain import EMPTY, chain
from argosy.shards.engine import Engine, Interrupt
from tests.shards.engines import NOW_MS, facts_of, never, person

encode: Final = msgspec.json.Encoder().encode


class Upload(NamedTuple):
    """A feed with all of its lines."""

    feed: str
    lines: Sequence[bytes]
    made_at_ms: int = NOW_MS

    def batch(self, first: int, last: int, *, confirmed: int = 0, source: Source = NO_SOURCE) -> FeedBatch:
        """Return the lines from one number to another, both of which are there; first: last + 1: none."""
        chains, text = _chains_of(tuple(self.lines)), b"\n".join(self.lines[first - 1 : last])
        ends = (chains[first - 1], chains[last])
        return FeedBatch(self.feed, self.made_at_ms, first, last + 1, *ends, text, confirmed, source)

    @property
    def whole(self) -> FeedBatch:
        return self.batch(1, len(self.lines))

    def asked(self, confirmed: int = 0) -> FeedBatch:
        """Return a batch of no lines."""
        return self.batch(1, 0, confirmed=confirmed)

    def state(self, done: int, *, applied: int | None = None, rejected: int = 0) -> FeedState:
        """Return the feed when so many lines were done. applied: of them; None: the rest of those rejected."""
        chain = _chains_of(tuple(self.lines))[done]
        return FeedState(self.feed, done + 1, chain, done - rejected if applied is None else applied, rejected)


@lru_cache
def _chains_of(lines: tuple[bytes, ...]) -> list[bytes]:
    """Return the chain at each line, and before the first."""
    return list(accumulate(lines, chain, initial=EMPTY))


def upload(*lines: Op | bytes | dict[str, Any], feed: str = "job", made_at_ms: int = NOW_MS) -> Upload:
    return Upload(feed, [line if isinstance(line, bytes) else encode(line) for line in lines], made_at_ms)


def people(*ids: str, feed: str = "job") -> Upload:
    return upload(*map(person, ids), feed=feed)


def ingest(engine: Engine, ref: GraphRef, batch: FeedBatch, now_ms: int = NOW_MS, interrupt: Interrupt = never) -> Fed:
    return engine.graph(ref).ingest(ref, batch, now_ms, interrupt).fed


def after(lines: int) -> Interrupt:
    """Return what makes a batch end behind so many lines, of which one is done in any case."""
    asked = count(1)
    return lambda: next(asked) >= lines


def ids(engine: Engine, ref: GraphRef) -> list[str]:
    """Of the nodes that the graph has."""
    return [node.id for node in facts_of(engine, ref)[0]]

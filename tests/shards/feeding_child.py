"""A process that sends lines of feeds to a folder until it is killed, and says what was answered: one line each.

    python -m tests.shards.feeding_child ROOT INCARNATION

Each feed has several senders, who send what is next, what was sent before, and what comes too early: "fed FEED NEXT".
"""

import os
import random
import sys
import threading
import uuid
from pathlib import Path
from typing import Final

from argosy.graph.facts import GraphRef
from argosy.graph.feeds import FeedBatch
from argosy.graph.ops import UpsertEdge, UpsertNode
from argosy.ingest.chain import EMPTY, chain
from argosy.shards.engines.sqlite import SqliteEngine
from tests.shards.engines import NOW_MS, open_sqlite
from tests.shards.feeding import encode

FEEDS: Final = ("one", "other", "third")
SENDERS_PER_FEED: Final = 2


def graph_of(incarnation: uuid.UUID) -> GraphRef:
    return GraphRef("acme", "people", incarnation, 1)


def node_id(feed: str, number: int) -> str:
    return f"{feed}-{number}"


def line_of(feed: str, number: int) -> bytes:
    """Return a line that takes effect once, and would be refused when it was done again."""
    match number % 10:
        case 0:
            return b"no line %d" % number
        case 5:
            return encode(UpsertEdge(node_id(feed, number - 1), "NEXT", node_id(feed, number - 2), if_absent=True))
        case 7:
            return b""
    return encode(UpsertNode(node_id(feed, number), "N", {"text": "x" * (number % 7 * 50)}, if_absent=True))


class Chains:
    """The chains of a feed, as far as somebody asked."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._chains = [EMPTY]

    def at(self, number: int) -> bytes:
        """Return the chain at a line."""
        while len(self._chains) <= number:
            self._chains.append(chain(self._chains[-1], line_of(self._feed, len(self._chains))))
        return self._chains[number]


def batch_of(feed: str, chains: Chains, first: int, size: int, confirmed: int = 0) -> FeedBatch:
    end = first + size
    lines = b"\n".join(line_of(feed, number) for number in range(first, end))
    return FeedBatch(feed, NOW_MS, first, end, chains.at(first - 1), chains.at(end - 1), lines, confirmed)


def sometimes() -> bool:
    """Whether others wait: then the rest of a batch is sent again."""
    return random.random() < 0.01


def send(engine: SqliteEngine, ref: GraphRef, feed: str) -> None:
    chains, first = Chains(feed), 1
    while True:
        size = random.choice((1, 3, 40, 400))
        fed = engine.graph(ref).ingest(ref, batch_of(feed, chains, first, size), NOW_MS, sometimes).fed
        assert fed.state.chain == chains.at(fed.state.next - 1)
        os.write(1, f"fed {feed} {fed.state.next}\n".encode())
        first = max(1, fed.state.next + random.choice((0, 0, 0, 0, -1, -50, 7)))


def main() -> None:
    root, incarnation = sys.argv[1:]
    engine, ref = open_sqlite(Path(root)), graph_of(uuid.UUID(incarnation))
    for feed in FEEDS * SENDERS_PER_FEED:
        threading.Thread(target=send, args=(engine, ref, feed)).start()


if __name__ == "__main__":
    main()

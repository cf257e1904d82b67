"""Finds nodes of one graph by text and by vectors, and says what the graph has: what is derived from its file."""

from collections.abc import Sequence

from argosy.errors import GraphDeadlineError
from argosy.graph.facts import Hit, Summary
from argosy.shards.engine import Interrupt
from argosy.shards.engines.connection import snapshot, transaction
from argosy.shards.engines.connections import Connections
from argosy.shards.engines.derived import Derived
from argosy.shards.engines.filler import Filler
from argosy.shards.engines.meta import Meta
from argosy.shards.engines.reader import interruptible
from argosy.shards.engines.summary import summarize
from argosy.shards.engines.text import TextIndex
from argosy.shards.engines.vectors import VectorMemory, Vectors


class Finder:
    """Finds nodes of one graph. Used by any number of threads. derived: is to be told of every change."""

    def __init__(self, connections: Connections, memory: VectorMemory, filler: Filler) -> None:
        self._connections = connections
        self._filler = filler
        self._text = TextIndex()
        self._vectors = Vectors(memory)
        self._summary: tuple[int, Summary] | None = None  # of a version
        self.derived: Sequence[Derived] = (self._text, self._vectors)

    def search(self, text: str, limit: int, interrupt: Interrupt) -> list[Hit]:
        """Return the nodes with all words of a text, then those with some. The first search makes the index: one that
        is stopped meanwhile leaves what it made to the next one.
        """
        while True:
            with self._connections.reading() as connection, interruptible(connection, interrupt), snapshot(connection):
                if self._text.is_built(connection):
                    return self._text.search(connection, text, limit)
            self._build(interrupt)

    def nearest(self, name: str, vector: Sequence[float], limit: int, interrupt: Interrupt) -> list[Hit]:
        with self._connections.reading() as connection, interruptible(connection, interrupt), snapshot(connection):
            found = self._vectors.nearest(connection, name, vector, limit, interrupt)
        if name in self._vectors.behind:
            self._filler.ask(self, name)
        return found

    def fill(self, name: str, interrupt: Interrupt) -> bool:
        """Take one part of the vectors into memory: see Filled."""
        with self._connections.reading() as connection, interruptible(connection, interrupt), snapshot(connection):
            return self._vectors.fill(connection, name, interrupt)

    def summary(self, interrupt: Interrupt) -> Summary:
        with self._connections.reading() as connection, interruptible(connection, interrupt), snapshot(connection):
            version = Meta.read(connection).version
            if self._summary is None or self._summary[0] != version:
                self._summary = (version, summarize(connection))
            return self._summary[1]

    def _build(self, interrupt: Interrupt) -> None:
        is_whole = False
        while not is_whole:
            if interrupt():
                raise GraphDeadlineError("the search was stopped while the text index was being made")
            with self._connections.writing(interrupt) as connection, transaction(connection):
                is_whole = self._text.build(connection)

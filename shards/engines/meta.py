"""What a graph's file says of the graph as a whole, and whether a call means that."""

import uuid
from pathlib import Path
from typing import Final, NamedTuple, Self

import apsw

from argosy.errors import WrongOwnerError
from argosy.graph.facts import GraphRef, GraphState, Stats
from argosy.shards.engines.connection import FileDamagedError
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "schema")
# Of the states in one generation.
_ORDER: Final = (GraphState.ACTIVE, GraphState.SEALED, GraphState.RETIRED)


class Meta(NamedTuple):
    """What a graph's file says of it. forgotten_ms: a key made then or before may have been here and be deleted."""

    tenant: str
    graph: str
    incarnation: uuid.UUID
    generation: int
    state: GraphState
    version: int
    node_count: int
    edge_count: int
    forgotten_ms: int

    @classmethod
    def read(cls, connection: apsw.Connection) -> Self:
        """Read it from the graph's file. Raises FileDamagedError."""
        try:
            (row,) = connection.execute(_SQL["read_meta"])
            tenant, graph, incarnation, generation, state, *rest = row
            return cls(tenant, graph, uuid.UUID(bytes=incarnation), generation, GraphState(state), *rest)
        except (apsw.SQLError, TypeError, ValueError) as error:  # no such table, no row, or no such values
            raise FileDamagedError("the graph's file says nothing of a graph") from error

    def check(self, ref: GraphRef) -> None:
        """Raise WrongOwnerError unless the file is of the graph that a call means, in its generation."""
        if ref[:3] != self[:3]:
            raise WrongOwnerError("another life of the graph is here")
        if ref.generation != self.generation:
            raise WrongOwnerError(f"the graph is here in generation {self.generation}, not in {ref.generation}")

    def with_state(self, ref: GraphRef, state: GraphState, generation: int) -> Self:
        """Return it with a state and a generation; as it is, when it has or had them in this generation already. Raises
        WrongOwnerError when the file is of another generation than `ref`, or of a later one than it is to have.
        """
        if ref[:3] == self[:3] and (state, generation) == (self.state, self.generation):
            return self
        self.check(ref)
        if generation < self.generation:
            raise WrongOwnerError(f"the graph is here in generation {self.generation} already")
        if generation == self.generation and _ORDER.index(state) <= _ORDER.index(self.state):
            return self
        return self._replace(state=state, generation=generation)

    def check_read(self, ref: GraphRef) -> None:
        self.check(ref)
        if self.state is GraphState.RETIRED:
            raise WrongOwnerError("the graph was moved to another shard")

    def check_write(self, ref: GraphRef) -> None:
        self.check_read(ref)
        if self.state is GraphState.SEALED:
            raise WrongOwnerError("the graph is being moved to another shard")


def stats_of(meta: Meta, path: Path) -> Stats:
    """Return the figures of a graph with its file at this path."""
    return Stats(
        incarnation=meta.incarnation,
        generation=meta.generation,
        state=meta.state,
        node_count=meta.node_count,
        edge_count=meta.edge_count,
        version=meta.version,
        size_bytes=size_bytes(path),
        wal_size_bytes=wal_size_bytes(path),
    )


def wal_size_bytes(path: Path) -> int:
    """Return the size of the log of writes of a graph with its file at this path."""
    return size_bytes(wal_path(path))


def wal_path(path: Path) -> Path:
    """Return where SQLite keeps the log of writes of a file."""
    return path.with_name(path.name + "-wal")


def size_bytes(path: Path) -> int:
    """Return the size of a file; 0 when it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

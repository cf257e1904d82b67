"""One graph in a file of SQLite's."""

from collections.abc import Iterable, Iterator, Sequence

from argosy.graph.acl import GraphAcl
from argosy.graph.facts import (
    Applied,
    Direction,
    Edge,
    FencingToken,
    GraphRef,
    GraphState,
    Hit,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.feeds import FeedBatch, FeedState, numbered_lines
from argosy.graph.forgetting import ForgetTurns
from argosy.graph.ops import Op
from argosy.shards.engine import Batch, Ingested, Interrupt, Written
from argosy.shards.engines import forget, reader
from argosy.shards.engines.changes import RefusedError
from argosy.shards.engines.connection import roomy, snapshot, transaction
from argosy.shards.engines.connections import Connections
from argosy.shards.engines.copy import SqliteCopy
from argosy.shards.engines.export import export
from argosy.shards.engines.feeds import find_feeds
from argosy.shards.engines.finder import Finder
from argosy.shards.engines.folder import Folder
from argosy.shards.engines.kept_acl import read_acl, write_acl
from argosy.shards.engines.meta import Meta, stats_of
from argosy.shards.engines.neighborhood import Walk
from argosy.shards.engines.writer import Writer
from argosy.statements import load_statements

_SCHEMA = load_statements("argosy.shards.engines", "schema")


class SqliteGraph:
    """A graph of an open folder. It can be used at any time, and takes connections to its file as it needs them."""

    def __init__(self, connections: Connections, finder: Finder, *, key_horizon_ms: int, rejects_max: int) -> None:
        connections.owner = self
        self._connections = connections
        self._finder = finder
        self._horizon_ms = key_horizon_ms
        self._rejects_max = rejects_max
        with connections.reading() as connection:
            self._meta = Meta.read(connection)  # replaced as a whole, by whoever writes
            self._acl = read_acl(connection)  # likewise

    @property
    def meta(self) -> Meta:
        return self._meta

    @property
    def connections(self) -> Connections:
        return self._connections

    def acl(self, ref: GraphRef) -> GraphAcl | None:
        self._meta.check_read(ref)
        return self._acl

    def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, is_first: bool = False) -> None:
        with self._connections.writing() as connection, transaction(connection):
            meta = Meta.read(connection)
            meta.check_write(ref)
            if not is_first or (meta.version == 0 and self._acl is None):
                write_acl(connection, acl)
            self._acl = read_acl(connection)

    def apply(
        self,
        ref: GraphRef,
        ops: Sequence[Op],
        *,
        key: WriteKey | None,
        token: FencingToken | None,
        source: Source,
        now_ms: int,
    ) -> Applied:
        (outcome,) = self.apply_many([Batch(ref, ops, key, token, source)], now_ms)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def apply_many(self, batches: Sequence[Batch], now_ms: int) -> list[Applied | Exception]:
        with self._connections.writing() as connection:
            with transaction(connection):
                writer = Writer(connection, self._finder.derived, horizon_ms=self._horizon_ms, now_ms=now_ms)
                outcomes = writer.apply_all(batches)
            self._meta = writer.meta
        return outcomes

    def bulk_load(self, ref: GraphRef, batches: Iterable[Sequence[Op]], *, source: Source, now_ms: int) -> Applied:
        with self._connections.writing() as connection, roomy(connection):
            try:
                with transaction(connection):
                    writer = Writer(connection, self._finder.derived, horizon_ms=self._horizon_ms, now_ms=now_ms)
                    applied = writer.load(ref, self._unless_dropped(batches), source)
            except RefusedError as error:
                return Applied(0, -1, str(error))
            self._meta = writer.meta
        return applied

    def _unless_dropped(self, batches: Iterable[Sequence[Op]]) -> Iterator[Sequence[Op]]:
        for batch in batches:
            self._connections.check()
            yield batch

    def ingest(self, ref: GraphRef, batch: FeedBatch, now_ms: int, interrupt: Interrupt) -> Ingested:
        lines = numbered_lines(batch)
        with self._connections.writing() as connection:
            with transaction(connection):
                writer = Writer(connection, self._finder.derived, horizon_ms=self._horizon_ms, now_ms=now_ms)
                ingested = writer.ingest(ref, batch, lines, interrupt, rejects_max=self._rejects_max)
            self._meta = writer.meta
        return ingested

    def feeds(self, ref: GraphRef, names: Sequence[str]) -> list[FeedState | None]:
        self._meta.check_read(ref)
        with self._connections.reading() as connection, snapshot(connection):
            return find_feeds(connection, names)

    def export(self, ref: GraphRef) -> Iterator[bytes]:
        self._meta.check_read(ref)
        return self._export()

    def get_nodes(self, ref: GraphRef, ids: Sequence[str], size_bytes_max: int | None = None) -> list[Node | None]:
        self._meta.check_read(ref)
        with self._connections.reading() as connection:
            return reader.get_nodes(connection, ids, size_bytes_max)

    def neighbors(
        self,
        ref: GraphRef,
        ids: Sequence[str],
        *,
        types: Sequence[str],
        direction: Direction,
        depth: int,
        limit: int,
        interrupt: Interrupt,
    ) -> Neighborhood:
        self._meta.check_read(ref)
        with (
            self._connections.reading() as connection,
            reader.interruptible(connection, interrupt),
            snapshot(connection),
        ):
            return Walk(connection, types, direction, limit, interrupt, ref.limited).go(ids, depth)

    def scan(self, ref: GraphRef, label: str, after: str, limit: int, interrupt: Interrupt) -> list[Node]:
        self._meta.check_read(ref)
        with self._connections.reading() as connection, reader.interruptible(connection, interrupt):
            return reader.scan(connection, label, after, limit)

    def scan_edges(self, ref: GraphRef, after: tuple[str, str, str], limit: int, interrupt: Interrupt) -> list[Edge]:
        self._meta.check_read(ref)
        with self._connections.reading() as connection, reader.interruptible(connection, interrupt):
            return reader.scan_edges(connection, after, limit)

    def search(self, ref: GraphRef, text: str, limit: int, interrupt: Interrupt) -> list[Hit]:
        self._meta.check_read(ref)
        return self._finder.search(text, limit, interrupt)

    def nearest(self, ref: GraphRef, name: str, vector: Sequence[float], limit: int, interrupt: Interrupt) -> list[Hit]:
        self._meta.check_read(ref)
        return self._finder.nearest(name, vector, limit, interrupt)

    def summary(self, ref: GraphRef, interrupt: Interrupt) -> Summary:
        self._meta.check_read(ref)
        return self._finder.summary(interrupt)

    def _export(self) -> Iterator[bytes]:
        with self._connections.reading() as connection, snapshot(connection):
            for line in export(connection):
                yield line
                self._connections.check()

    def stats(self) -> Stats:
        with self._connections.reading() as connection:
            return stats_of(Meta.read(connection), self._connections.path)

    def written_by(self, ref: GraphRef, turns: ForgetTurns, limit: int, interrupt: Interrupt) -> Written:
        self._meta.check_read(ref)
        with (
            self._connections.reading() as connection,
            reader.interruptible(connection, interrupt),
            snapshot(connection),
        ):
            return forget.find(connection, turns, limit)

    def fence(self, ref: GraphRef, turns: ForgetTurns, now_ms: int) -> None:
        with self._connections.writing() as connection:
            self._meta.check_write(ref)
            forget.fence(connection, turns, now_ms)

    def wipe(self, ref: GraphRef) -> bool:
        with self._connections.writing() as connection:
            self._meta.check_write(ref)
            return forget.wipe(connection)

    def leave(self, folder: Folder) -> None:
        """Be here no more: the folder has recorded that the graph was dropped."""
        self._connections.leave(folder, self._meta.incarnation)

    def begin_copy(self, ref: GraphRef, wal_size_bytes_max: int, interrupt: Interrupt) -> SqliteCopy:
        self._meta.check_read(ref)
        return SqliteCopy(self, self._connections.holder.hold(wal_size_bytes_max, interrupt))

    def set_state(self, ref: GraphRef, state: GraphState, generation: int) -> Stats:
        with self._connections.writing() as connection:
            with transaction(connection):
                meta = Meta.read(connection).with_state(ref, state, generation)
                connection.execute(_SCHEMA["update_state"], (meta.state.value, meta.generation))
            self._meta = meta
        return stats_of(meta, self._connections.path)

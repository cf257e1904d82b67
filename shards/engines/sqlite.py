"""The engine on SQLite: a folder with a file for each graph."""

import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from argosy import telemetry
from argosy.errors import GraphDeadlineError, GraphFileError, WrongOwnerError
from argosy.graph.facts import LIST_MAX, GraphName, GraphRef, GraphState, Stats
from argosy.shards.engine import Interrupt
from argosy.shards.engines.connection import FileDamagedError, new_file
from argosy.shards.engines.connections import Connections, OpenBounds, OpenGraphs
from argosy.shards.engines.filler import Filler
from argosy.shards.engines.finder import Finder
from argosy.shards.engines.folder import Folder, remove_file, sync_folder
from argosy.shards.engines.landings import SqliteLandings
from argosy.shards.engines.meta import stats_of, wal_size_bytes
from argosy.shards.engines.place import is_missing, read_meta
from argosy.shards.engines.restore import Restore
from argosy.shards.engines.sqlite_graph import SqliteGraph
from argosy.shards.engines.text import TextIndex
from argosy.shards.engines.vectors import VectorMemory, Vectors
from argosy.statements import load_statements

log = structlog.get_logger()
_SQL = load_statements("argosy.shards.engines", "schema")


_Life = tuple[str, str, uuid.UUID]  # tenant, graph, incarnation


class SqliteEngine:
    """The graphs of a folder. Raises SettingError when another process has it, or when it cannot be used.

    key_horizon_ms: how long keys of batches, and feeds, are known. rejects_max: lines of a feed that are kept when they
    are refused.
    """

    def __init__(self, root: Path, *, bounds: OpenBounds, key_horizon_ms: int, rejects_max: int) -> None:
        self._folder = Folder(root)
        self._opened = OpenGraphs(bounds)
        self._vectors = VectorMemory(bounds.vectors_bytes)
        self._filler = Filler()
        self._horizon_ms = key_horizon_ms
        self._rejects_max = rejects_max
        self._making = threading.Lock()  # held while files come and go
        self.landings = SqliteLandings(self._folder, self._making)
        self._lock = threading.Lock()  # held while one file is opened
        # Whoever asks for a graph gets the same one as long as anybody has it, or it has connections.
        self._graphs: WeakValueDictionary[_Life, SqliteGraph] = WeakValueDictionary()

    @property
    def member_id(self) -> uuid.UUID:
        return self._folder.member_id

    @property
    def is_empty(self) -> bool:
        """Whether the folder has no graphs."""
        return self._folder.is_empty

    @property
    def open_count(self) -> int:
        return len(self._opened)

    @property
    def wal_size_bytes(self) -> int:
        return sum(wal_size_bytes(path) for path in self._opened.paths())

    def create(self, ref: GraphRef) -> None:
        with self._making:
            is_wanted = is_missing(self._folder, ref)
        if is_wanted:
            self._make(ref, None)

    def drop(self, ref: GraphRef) -> None:
        with self._making:
            path = self._folder.path_of(ref)
            if not path.exists():
                self._folder.drop(ref, None)
                self.landings.forget(ref)
                return
            if self._folder.is_leaving(ref.incarnation):
                return
            try:
                graph = self._open(ref)
            except FileDamagedError:  # nobody will ever know its generation: the call's has to do
                self._folder.drop(ref, path)
                self._folder.remove(ref.incarnation, path)
                return
            if graph.meta.generation > ref.generation:
                raise WrongOwnerError(f"the graph is here in generation {graph.meta.generation}")
            self._folder.drop(ref, path)
            with self._lock:
                self._graphs.pop(_life(ref), None)
        graph.leave(self._folder)

    def graph(self, ref: GraphRef) -> SqliteGraph:
        graph = self._graphs.get(_life(ref)) or self._open(ref)
        graph.meta.check(ref)
        return graph

    def graph_at_hand(self, ref: GraphRef) -> SqliteGraph | None:
        graph = self._graphs.get(_life(ref))
        return graph if graph is not None and graph.connections.is_at_hand else None

    def set_state(self, ref: GraphRef, state: GraphState, generation: int) -> Stats:
        return (self._graphs.get(_life(ref)) or self._open(ref)).set_state(ref, state, generation)

    def restore(self, ref: GraphRef, lines: Iterable[bytes]) -> None:
        """Make the graph of the lines of an export. Raises WrongOwnerError when the graph is here."""
        with self._making:
            is_wanted = is_missing(self._folder, ref)
        if not is_wanted or not self._make(ref, lines):
            raise WrongOwnerError("the graph is here")

    def list(
        self, interrupt: Interrupt, after: GraphName | None = None, limit: int = LIST_MAX
    ) -> list[tuple[GraphName, Stats]]:
        found: list[tuple[GraphName, Stats]] = []
        for path in self._folder.paths(after):
            if len(found) == limit:
                break
            if interrupt():
                raise GraphDeadlineError("the graphs could not all be listed before the deadline")
            try:
                meta = read_meta(path)
            except GraphFileError as error:
                log.error(
                    telemetry.GRAPH_FILE_UNUSABLE,
                    file=str(path),
                    error=str(error),
                    consequence="its graph cannot be used, and is not listed; it can be dropped if the file is damaged",
                )
                continue
            if meta is not None and not self._folder.is_dropped(meta.incarnation, meta.generation):
                found.append((GraphName(meta.tenant, meta.graph), stats_of(meta, path)))
        return found

    def close(self) -> None:
        """Let nobody begin, wait for those who write, and give the folder up."""
        self._filler.close()
        with self._making, self._lock:
            self._opened.close()
            self._folder.close()

    def _open(self, ref: GraphRef) -> SqliteGraph:
        life = _life(ref)
        with self._lock:
            if (graph := self._graphs.get(life)) is not None:
                return graph
            path = self._folder.path_of(ref)
            if not path.exists():
                raise WrongOwnerError("the graph is not here")
            connections = Connections(path, self._opened)
            try:
                finder = Finder(connections, self._vectors, self._filler)
                graph = SqliteGraph(connections, finder, key_horizon_ms=self._horizon_ms, rejects_max=self._rejects_max)
            except GraphFileError:
                self._opened.forget(connections)
                raise
            if self._folder.is_dropped(ref.incarnation, graph.meta.generation):
                raise WrongOwnerError("the graph was dropped")
            self._graphs[life] = graph
            return graph

    def _make(self, ref: GraphRef, lines: Iterable[bytes] | None) -> bool:
        """Make a graph's file, of lines or empty. Return whether this was needed: not, if another one was faster."""
        path = self._folder.path_of(ref)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        unfinished = path.with_suffix(f".{uuid.uuid4().hex}.new")
        try:
            with new_file(unfinished) as connection:
                connection.execute(_SQL["make_graph"])
                name = (ref.tenant, ref.graph, ref.incarnation.bytes, ref.generation, GraphState.ACTIVE.value)
                connection.execute(_SQL["insert_meta"], name)
                if lines is not None:
                    Restore(connection, (TextIndex(), Vectors(self._vectors))).take(lines)
            with self._making:
                if not is_missing(self._folder, ref):
                    return False
                unfinished.rename(path)
                sync_folder(path.parent)
                sync_folder(path.parent.parent)
                return True
        finally:
            remove_file(unfinished)


def _life(ref: GraphRef) -> _Life:
    return ref[:3]

"""The engine on SQLite: a folder with a file for each graph."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import apsw

from argosy.errors import ShardUnavailableError, WrongOwnerError
from argosy.graph.facts import GraphName, GraphRef, GraphState, Stats
from argosy.shards.engines.connection import open_file, told, transaction
from argosy.shards.engines.connections import Connections, OpenBounds, OpenGraphs
from argosy.shards.engines.folder import Folder, remove_file, sync_folder
from argosy.shards.engines.meta import Meta, stats_of
from argosy.shards.engines.sqlite_graph import SqliteGraph
from argosy.statements import load_statements

_SQL = load_statements("argosy.shards.engines", "schema")


class _Life(NamedTuple):
    tenant: str
    graph: str
    incarnation: uuid.UUID


class SqliteEngine:
    """The graphs of a folder. Raises SettingError when another process has it, or when it cannot be used.

    key_horizon_ms: how long keys of batches are known.
    """

    def __init__(self, root: Path, *, bounds: OpenBounds, key_horizon_ms: int) -> None:
        self._folder = Folder(root)
        self._opened = OpenGraphs(bounds)
        self._horizon_ms = key_horizon_ms
        self._making = threading.Lock()  # held while files come and go
        self._lock = threading.Lock()  # held while one file is opened
        # Whoever asks for a graph gets the same one as long as anybody has it, or it has connections.
        self._graphs: WeakValueDictionary[_Life, SqliteGraph] = WeakValueDictionary()

    @property
    def member_id(self) -> uuid.UUID:
        return self._folder.member_id

    @property
    def open_count(self) -> int:
        return len(self._opened)

    def create(self, ref: GraphRef) -> None:
        with self._making:
            path = self._folder.path_of(ref)
            if self._room_for(ref):
                with _made(path, ref):
                    pass

    def drop(self, ref: GraphRef) -> None:
        with self._making:
            path = self._folder.path_of(ref)
            if not path.exists():
                self._folder.drop(ref, None)
                return
            if self._folder.is_leaving(ref.incarnation):
                return
            graph = self._open(ref)
            if graph.meta.generation > ref.generation:
                raise WrongOwnerError(f"the graph is here in generation {graph.meta.generation}")
            self._folder.drop(ref, path)
            with self._lock:
                self._graphs.pop(_life(ref), None)
        graph.connections.leave(self._folder, ref.incarnation)
        self._opened.forget(graph.connections)

    def graph(self, ref: GraphRef) -> SqliteGraph:
        graph = self._graphs.get(_life(ref)) or self._open(ref)
        graph.meta.check(ref)
        return graph

    def list(self) -> list[tuple[GraphName, Stats]]:
        found = []
        for path in self._folder.paths():
            meta = _read_meta(path)
            if meta is not None and not self._folder.is_dropped(meta.incarnation, meta.generation):
                found.append((GraphName(meta.tenant, meta.graph), stats_of(meta, path)))
        return found

    def close(self) -> None:
        """Close what is not in use, and give the folder up."""
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
            graph = SqliteGraph(Connections(path, self._opened), (), self._horizon_ms)
            if self._folder.is_dropped(ref.incarnation, graph.meta.generation):
                raise WrongOwnerError("the graph was dropped")
            self._graphs[life] = graph
            return graph

    def _room_for(self, ref: GraphRef) -> bool:
        """Whether the graph is to be made; not, if it is there. Raises WrongOwnerError when it must not be made."""
        if self._folder.is_dropped(ref.incarnation, ref.generation):
            raise WrongOwnerError("the graph was dropped")
        if self._folder.is_leaving(ref.incarnation):
            raise ShardUnavailableError("the graph is still read as it was when it was dropped")
        path = self._folder.path_of(ref)
        for other in self._folder.paths_named(GraphName(ref.tenant, ref.graph)):
            meta = None if other == path else _read_meta(other)
            if meta is not None and not self._folder.is_dropped(meta.incarnation, meta.generation):
                raise WrongOwnerError("another life of the graph is here")
        return not path.exists()


@contextmanager
def _made(path: Path, ref: GraphRef) -> Iterator[apsw.Connection]:
    """Make a graph's file: it appears once all that is written to it is on disk."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".new")
    remove_file(unfinished)
    connection = open_file(unfinished, is_new=True)
    try:
        with told(), transaction(connection):
            connection.execute(_SQL["make_graph"])
            name = (ref.tenant, ref.graph, ref.incarnation.bytes, ref.generation, GraphState.ACTIVE.value)
            connection.execute(_SQL["insert_meta"], name)
            yield connection
    except BaseException:
        connection.close()
        remove_file(unfinished)
        raise
    connection.close()  # which brings everything into the one file
    unfinished.rename(path)
    sync_folder(path.parent)
    sync_folder(path.parent.parent)


def _read_meta(path: Path) -> Meta | None:
    """Return what a graph's file says; None when the file was removed meanwhile."""
    try:
        connection = open_file(path)
    except ShardUnavailableError:
        if path.exists():
            raise
        return None
    try:
        with told():
            return Meta.read(connection)
    finally:
        connection.close()


def _life(ref: GraphRef) -> _Life:
    return _Life(ref.tenant, ref.graph, ref.incarnation)

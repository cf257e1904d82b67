"""Whether a folder has a place for a graph, and what is there."""

from pathlib import Path

from argosy.errors import GraphDroppedError, GraphFileError, ShardBusyError, WrongOwnerError
from argosy.graph.facts import GraphName, GraphRef
from argosy.shards.engines.connection import open_file, told
from argosy.shards.engines.folder import Folder, incarnation_of
from argosy.shards.engines.meta import Meta


def is_missing(folder: Folder, ref: GraphRef) -> bool:
    """Return whether the graph may be made; not, if it is here. Raises WrongOwnerError when it must not be made."""
    if folder.is_dropped(ref.incarnation, ref.generation):
        raise GraphDroppedError("the graph was dropped")
    if folder.is_leaving(ref.incarnation):
        raise ShardBusyError("the graph is still read as it was when it was dropped")
    path = folder.path_of(ref)
    for other in folder.paths_named(GraphName(ref.tenant, ref.graph)):
        if other == path or folder.is_leaving(incarnation_of(other)):
            continue
        meta = read_meta(other)
        if meta is not None and not folder.is_dropped(meta.incarnation, meta.generation):
            raise WrongOwnerError("another life of the graph is here")
    return not path.exists()


def read_meta(path: Path) -> Meta | None:
    """Return what a graph's file says; None when there is no such file, or it was removed meanwhile."""
    try:
        connection = open_file(path)
    except GraphFileError:
        if path.exists():
            raise
        return None
    try:
        with told():
            return Meta.read(connection)
    finally:
        connection.close()

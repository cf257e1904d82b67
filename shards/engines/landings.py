"""The graphs that a folder receives: see argosy/graph/copies.py."""

import threading
import uuid

from argosy.errors import CopyBrokenError, WrongOwnerError
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphRef, GraphState, Stats
from argosy.shards.engines.folder import Folder, sync_folder
from argosy.shards.engines.landing import Landing
from argosy.shards.engines.landing_rows import LandingRow, Stage
from argosy.shards.engines.meta import stats_of
from argosy.shards.engines.place import is_missing, read_meta


class SqliteLandings:
    """engine.py, Landings. making: held while files of graphs come and go. Used by any number of threads."""

    def __init__(self, folder: Folder, making: threading.Lock) -> None:
        self._folder = folder
        self._making = making
        self._lock = threading.Lock()  # held for moments
        self._open: dict[uuid.UUID, Landing] = {row.copy_id: self._landing(row) for row in folder.landings.all()}
        self._remove_leftovers()

    def received(self, ref: GraphRef, copy_id: uuid.UUID) -> Received:
        self._check_welcome(ref)
        with self._lock:
            landing = self._open.get(copy_id)
        if landing is None:
            self._check_place(ref)
            return Received(0, 0, is_whole=False, is_landed=False)
        return landing.received

    def take(self, ref: GraphRef, copy_id: uuid.UUID, part: CopyPart, *, is_tail: bool) -> bool:
        self._check_welcome(ref)
        return self._begun(ref, copy_id).take(part, is_tail=is_tail)

    def land(self, ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None) -> Stats:
        self._check_welcome(ref)
        landing = self._found(ref, copy_id)
        self._check_place(ref)
        return landing.land(sums, expected)

    def activate(self, ref: GraphRef, copy_id: uuid.UUID, generation: int) -> Stats:
        active = ref._replace(generation=generation)
        path = self._folder.path_of(active)
        with self._making:
            self._check_welcome(active)
            if (stats := self._stats_if_active(active)) is None:
                self._check_welcome(ref)
                landing = self._found(ref, copy_id)
                if not is_missing(self._folder, active):
                    raise WrongOwnerError("the graph is here in another generation, or is not active")
                stats = landing.activate(active, path)
                sync_folder(path.parent.parent)
        self._forget(copy_id)
        return stats

    def abandon(self, ref: GraphRef) -> None:
        with self._making:
            meta = read_meta(self._folder.path_of(ref))
            if meta is not None and meta.generation <= ref.generation:
                raise WrongOwnerError("the graph itself is here, and no copy of it")
            self._folder.drop(ref, None)
        self.forget(ref)

    def forget(self, ref: GraphRef) -> None:
        """Remove what was received of a graph, in this generation or an earlier one."""
        for landing in self._all():
            if landing.row.incarnation == ref.incarnation and landing.row.generation <= ref.generation:
                self._forget(landing.row.copy_id)

    def forget_idle(self, since_ms: int) -> None:
        for landing in self._all():
            is_coming = landing.row.stage <= Stage.TAIL
            if is_coming and landing.changed_ms < since_ms:
                self._forget(landing.row.copy_id)

    def _check_welcome(self, ref: GraphRef) -> None:
        """Raise WrongOwnerError when nothing of the graph may come in this generation."""
        if self._folder.is_dropped(ref.incarnation, ref.generation):
            raise WrongOwnerError("the graph was dropped, or its move abandoned")

    def _check_place(self, ref: GraphRef) -> None:
        """Raise WrongOwnerError when the graph could not be served here: nobody is to wait for one that cannot be. What
        comes late of a copy that has become the graph is taken.
        """
        if not is_missing(self._folder, ref):
            meta = read_meta(self._folder.path_of(ref))
            if meta is not None and meta.generation < ref.generation:
                raise WrongOwnerError(f"the graph is here already, in generation {meta.generation}")

    def _stats_if_active(self, ref: GraphRef) -> Stats | None:
        path = self._folder.path_of(ref)
        meta = read_meta(path)
        is_active = meta is not None and (meta.generation, meta.state) == (ref.generation, GraphState.ACTIVE)
        return stats_of(meta, path) if meta is not None and is_active else None

    def _begun(self, ref: GraphRef, copy_id: uuid.UUID) -> Landing:
        with self._lock:
            is_new = copy_id not in self._open
        if is_new:
            self._check_place(ref)
        with self._lock:
            if copy_id not in self._open:
                path = self._folder.landing_path(ref, copy_id)
                path.parent.mkdir(exist_ok=True, mode=0o700)
                row = LandingRow(copy_id, ref.incarnation, ref.generation, path, Stage.BASE, b"")
                self._folder.landings.put(row)
                path.touch()  # from now on it has an age
                self._open[copy_id] = self._landing(row)
        return self._found(ref, copy_id)

    def _found(self, ref: GraphRef, copy_id: uuid.UUID) -> Landing:
        with self._lock:
            landing = self._open.get(copy_id)
        if landing is None:
            raise CopyBrokenError("nothing of the copy is here")
        if landing.row.path != self._folder.landing_path(ref, copy_id) or landing.row.generation != ref.generation:
            raise CopyBrokenError("the copy is of another graph, or of another generation of it")
        return landing

    def _landing(self, row: LandingRow) -> Landing:
        return Landing(row, self._folder.landings)

    def _all(self) -> list[Landing]:
        with self._lock:
            return list(self._open.values())

    def _forget(self, copy_id: uuid.UUID) -> None:
        """Remove what is there of a copy: its row first, so that nothing goes on with a part of its files."""
        with self._lock:
            landing = self._open.pop(copy_id, None)
            self._folder.landings.delete(copy_id)
        if landing is not None:
            landing.remove()

    def _remove_leftovers(self) -> None:
        """Remove what was left by a process that was killed."""
        for landing in self._all():
            row = landing.row
            is_lost = row.stage > Stage.BASE and not row.path.exists()  # it has become a graph, or was removed
            if is_lost or self._folder.is_dropped(row.incarnation, row.generation):
                self._forget(landing.row.copy_id)
        self._folder.remove_landings({landing.row.path.name for landing in self._all()})

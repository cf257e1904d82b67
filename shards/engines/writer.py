"""Batches on their way into a graph's file: what was applied before, who may write, and what the batch does.

Rules:
- All batches of a commit are in one transaction, each in a savepoint of its own.
- A key is looked up before the fence is asked. What a batch came to is stored under its key, a refusal too; an error
  is not.
- Keys are forgotten after the horizon, a few in every commit. forgotten_ms is when the youngest of them was made: so a
  key that may be forgotten is refused, whatever the clock does and however the horizon is changed.
- A token is forgotten when it was not used for two horizons: what it would fence has a key that expired.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import apsw
import msgspec

from argosy.errors import ArgosyError, FencedError, GraphInputError, KeyExpiredError, KeyMismatchError
from argosy.graph.facts import Applied, FencingToken, GraphRef, Source, WriteKey
from argosy.graph.feeds import Fed, FeedBatch, Lines
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.shards.engine import Batch, Ingested, Interrupt
from argosy.shards.engines.changes import Changes, RefusedError, named_edge
from argosy.shards.engines.derived import Derived
from argosy.shards.engines.feeds import Feeding
from argosy.shards.engines.meta import Meta
from argosy.shards.engines.permits import Permits
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "batch")
# Forgotten in one commit, beside one for each of its batches: more than come, and a fraction of a millisecond.
_FORGOTTEN_AT_LEAST: Final = 8

# Keys of objects sorted: the same operations may come through a store that has an order of its own.
_encode_for_digest: Final = msgspec.json.Encoder(order="deterministic").encode


class Writer:
    """The batches of one commit. meta: as it is by those that were applied so far."""

    def __init__(
        self, connection: apsw.Connection, derived: Sequence[Derived], *, horizon_ms: int, now_ms: int
    ) -> None:
        self._connection = connection
        self._derived = derived
        self._horizon_ms = horizon_ms
        self._now_ms = now_ms
        self.meta = Meta.read(connection)

    def apply_all(self, batches: Sequence[Batch]) -> list[Applied | Exception]:
        """Apply batches. Errors of SQLite's are raised: then nothing of any of them may be committed."""
        outcomes: list[Applied | Exception] = []
        for batch in batches:
            try:
                outcomes.append(self._apply(batch))
            except ArgosyError as error:
                outcomes.append(error)
        self._forget(len(batches))
        self._store_meta()
        return outcomes

    def load(self, ref: GraphRef, batches: Iterable[Sequence[Op]], source: Source) -> Applied:
        """Apply upserts as one batch, whose edges may come before nodes. Raises RefusedError when a node is missing in
        the end, and GraphInputError for other operations: then nothing may be committed.
        """
        self.meta.check_write(ref)
        changes = Changes(self._connection, self.meta.version + 1, source, self._derived)
        for batch in batches:
            nodes = [op for op in batch if isinstance(op, UpsertNode)]
            edges = [op for op in batch if isinstance(op, UpsertEdge)]
            upserts: list[UpsertNode | UpsertEdge] = [*nodes, *edges]
            if len(upserts) < len(batch) or any(op.if_absent or op.if_version is not None for op in upserts):
                raise GraphInputError("a bulk load has upserts without conditions")
            changes.upsert_nodes(nodes)
            changes.upsert_edges(edges)
        changes.tell()
        version = self.meta.version + 1
        if dangling := self._connection.execute(_SQL["dangling_edge"], (version,)).fetchone():
            raise RefusedError(f"{named_edge(dangling)} lacks one of its nodes")
        self._count(changes)
        self.meta = self.meta._replace(edge_count=self._connection.execute(_SQL["count_edges"]).get)
        self._store_meta()
        return Applied(version)

    def ingest(
        self, ref: GraphRef, batch: FeedBatch, lines: Lines, interrupt: Interrupt, *, rejects_max: int
    ) -> Ingested:
        """Do the lines of a feed that are next, or nothing. Errors are raised: then nothing may be committed."""
        self.meta.check_write(ref)
        changes = Changes(self._connection, self.meta.version + 1, batch.source, self._derived)
        feeding = Feeding(self._connection, changes, horizon_ms=self._horizon_ms, now_ms=self._now_ms)
        state = feeding.take(batch, lines, rejects_max, interrupt)
        if feeding.ops:
            self._count(changes)
            self._store_meta()
        refused, is_cut = feeding.refused_lines(batch)
        fed = Fed(state, refused, is_cut, self.meta.version)
        return Ingested(fed, feeding.ops, feeding.applied, feeding.rejected, feeding.size_bytes)

    def _apply(self, batch: Batch) -> Applied:
        self.meta.check_write(batch.ref)
        digest = (batch.key.digest or digest_of(batch.ops)) if batch.key else b""
        if batch.key and (answer := self._known(batch.key, digest)):
            return answer
        if batch.token:
            self._check_token(batch.token)
        if batch.key:
            self._check_age(batch.key)
        applied = self._do(batch)
        if batch.key:
            self._connection.execute(_SQL["insert_applied"], (batch.key.key, digest, *applied, batch.key.made_at_ms))
        if batch.token:
            self._connection.execute(
                _SQL["upsert_token"], (batch.token.session_id.bytes, *batch.token[1:], self._now_ms)
            )
        return applied

    def _do(self, batch: Batch) -> Applied:
        version = self.meta.version + 1
        changes = Changes(self._connection, version, batch.source, self._derived)
        asker = batch.ref.limited
        permits = None if asker is None else Permits(self._connection, asker)
        index = 0
        self._connection.execute("SAVEPOINT batch")
        try:
            for index, op in enumerate(batch.ops):  # noqa: B007 (used when an operation is refused)
                if permits is not None:
                    permits.check(op)
                changes.do(op)
            changes.tell()
        except RefusedError as error:
            self._undo()
            return Applied(0, index, str(error))
        except ArgosyError:
            self._undo()
            raise
        self._connection.execute("RELEASE batch")
        self._count(changes)
        return Applied(version)

    def _count(self, changes: Changes) -> None:
        self.meta = self.meta._replace(
            version=self.meta.version + 1,
            node_count=self.meta.node_count + changes.node_count,
            edge_count=self.meta.edge_count + changes.edge_count,
        )

    def _store_meta(self) -> None:
        meta = self.meta
        values = (meta.version, meta.node_count, meta.edge_count, meta.forgotten_ms)
        self._connection.execute(_SQL["update_meta"], values)

    def _undo(self) -> None:
        self._connection.execute("ROLLBACK TO batch")
        self._connection.execute("RELEASE batch")

    def _known(self, key: WriteKey, digest: bytes) -> Applied | None:
        row = self._connection.execute(_SQL["find_applied"], (key.key,)).fetchone()
        if row is None:
            return None
        stored, *answer = row
        if stored != digest:
            raise KeyMismatchError(f"key {key.key!r} was used for other operations")
        return Applied(*answer)

    def _check_age(self, key: WriteKey) -> None:
        if key.made_at_ms <= max(self.meta.forgotten_ms, self._now_ms - self._horizon_ms):
            raise KeyExpiredError(f"key {key.key!r} is so old that nobody knows whether it was used")

    def _check_token(self, token: FencingToken) -> None:
        row = self._connection.execute(_SQL["find_token"], (token.session_id.bytes,)).fetchone()
        if row is not None and row > (token.epoch, token.place, token.attempt):
            raise FencedError("a later attempt or owner of the session has written to the graph")

    def _forget(self, batches: int) -> None:
        limit = batches + _FORGOTTEN_AT_LEAST
        forgotten = self._connection.execute(_SQL["forget_applied"], (self._now_ms - self._horizon_ms, limit))
        if made := [row[0] for row in forgotten]:
            self.meta = self.meta._replace(forgotten_ms=max(self.meta.forgotten_ms, *made))
        self._connection.execute(_SQL["forget_tokens"], (self._now_ms - 2 * self._horizon_ms, limit))


def digest_of(ops: Sequence[Op]) -> bytes:
    """Return a digest that equal operations have in common."""
    return hashlib.sha256(_encode_for_digest(ops)).digest()

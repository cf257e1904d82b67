"""A write to a graph by a workflow: recorded, then applied, once.

Rules:
- The operations are durable in the turn's history (step.intended), with the key's time and the life of the graph that
  they are for, before a shard hears of them.
- Where there is an embedder, vectors of the nodes' texts are made before, and recorded with the operations
  (argosy/graph/embedding.py); but not for a sealed graph: a vector tells much of its text. A turn that is killed in
  between makes them again; once they are recorded, nobody does.
- Whoever goes on with the turn sends the recorded operations, under the same key: the shard applies them once. They are
  never sent to a graph of the same name that was made later.
- A shard that does not answer is asked again, for as long as the turn lives; the turn is suspended meanwhile.
- When the code asks for other operations than are recorded, the recorded ones are applied, and their outcome is
  recorded; then the turn is parked, as for a step that is given other arguments.
- When the graph has other operations under the key, an earlier run wrote them, which history has lost: nothing is
  applied, and the turn is parked. Once an operator has resumed it, the write begins anew, under a further key.
- Each sending carries the token of its attempt. One that is fenced ends the attempt: a later one has the turn.
"""

import uuid
from typing import Any

import msgspec

from argosy import crash_points
from argosy.errors import EmbedderError, KeyMismatchError, PayloadTooLargeError
from argosy.graph.embedding import Made, with_made
from argosy.graph.facts import Source, WriteKey
from argosy.graph.ops import decode_ops
from argosy.identity.scopes import Scope
from argosy.turn.events import Event
from argosy.workflow import outcome, payload
from argosy.workflow.graph_away import told_to_tenants
from argosy.workflow.graph_vectors import make_vectors
from argosy.workflow.journal import Journal, Park
from argosy.workflow.mismatch import other_arguments, written_otherwise
from argosy.workflow.overruns import Overruns


class _Intent(msgspec.Struct, omit_defaults=True):
    """The data of the step.intended of a write. graph: its name; None: the session's own. made_at_ms: by the database's
    clock. ops: as the code asked for them; made: vectors for them.
    """

    incarnation: uuid.UUID
    made_at_ms: int
    ops: msgspec.Raw
    graph: str | None = None
    made: Made | None = None


_decode = msgspec.json.Decoder(_Intent).decode


class GraphWrite:
    """One write of an attempt; its tries call it. key: of the operation."""

    __slots__ = ("_intent", "_journal", "_key", "_overruns")

    def __init__(self, journal: Journal, key: str) -> None:
        self._journal = journal
        self._key = key
        self._intent: _Intent | None = None
        self._overruns = Overruns(journal, key, (EmbedderError,))

    async def __call__(self, graph: str | None, ops: str) -> dict[str, Any]:
        """Return what the write came to. graph: its name; None: the session's own. ops: JSON.

        Raises Park when history, or the graph, has other operations.
        """
        intent = self._intent = self._intent or self._recorded() or await self._record(graph, ops)
        await self._journal.durable(self._key)
        crash_points.reach("graph_recorded")
        applied = await self._apply(intent)
        crash_points.reach("graph_applied")
        if (bytes(intent.ops), intent.graph) != (ops.encode(), graph):
            raise self._mismatch(intent, applied, payload.digest((graph, ops)))
        return applied

    def _recorded(self) -> _Intent | None:
        """Return what an earlier attempt recorded."""
        data = self._journal.replay.intent(self._key)
        return None if data is None else _decode(data)

    async def _record(self, graph: str | None, ops: str) -> _Intent:
        journal, encoded = self._journal, ops.encode()
        self._check_size(len(encoded), "")
        graphs = journal.graphs()
        graphs.need(Scope.GRAPHS_WRITE, graph)
        made = None
        with told_to_tenants():
            row = await graphs.create(graph)
            if (embedder := graphs.lane.graphs.embedder) is not None and not row.is_sealed:
                try:
                    made = await make_vectors(graphs.of(graph, row.incarnation), embedder, decode_ops(encoded))
                except EmbedderError as error:
                    self._overruns.take(error)
        if made is not None:
            self._check_size(len(encoded) + made.size_bytes, " with the vectors of their texts")
            crash_points.reach("graph_embedded")
        made_at_ms = int(journal.database_time_s() * 1000)
        intent = _Intent(row.incarnation, made_at_ms, msgspec.Raw(encoded), graph, made)
        journal.record(Event.STEP_INTENDED, self._key, outcome.encode(intent))
        return intent

    def _check_size(self, size_bytes: int, of: str) -> None:
        if size_bytes > (size_bytes_max := self._journal.bounds.value_size_bytes_max):
            raise PayloadTooLargeError(
                f"the operations have {size_bytes} bytes{of}, the bound is PAYLOAD_SIZE_BYTES_MAX={size_bytes_max}: "
                "write them in several batches"
            )

    async def _apply(self, intent: _Intent) -> dict[str, Any]:
        graphs, turn_id = self._journal.graphs(), str(self._journal.turn_id)
        ops = decode_ops(bytes(intent.ops))
        again = self._journal.replay.times_again(self._key)
        try:
            with told_to_tenants():
                applied = await graphs.of(intent.graph, intent.incarnation).apply(
                    ops if intent.made is None else with_made(ops, intent.made),
                    key=WriteKey(f"{turn_id}/{self._key}{f'@{again}' if again else ''}", intent.made_at_ms),
                    token=graphs.token,
                    source=Source(turn_id, self._key),
                )
        except KeyMismatchError:
            raise written_otherwise(self._key, intent.graph or graphs.own) from None
        return {"version": applied.version} if applied.version else applied._asdict()

    def _mismatch(self, intent: _Intent, applied: dict[str, Any], digest_now: str) -> Park:
        """Record what the recorded operations came to, and return the error for code that asks for others."""
        digest = payload.digest((intent.graph, bytes(intent.ops).decode()))
        data = outcome.completed(outcome.encode(applied), self._journal.replay.tries(self._key) + 1)
        self._journal.record(Event.STEP_COMPLETED, self._key, outcome.with_digest(data, digest))
        return other_arguments(repr(self._key), digest, digest_now)

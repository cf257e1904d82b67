"""The flat parallel arrays for one call of the SQL function `accept`, in the order of its parameters."""

import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from argosy import ids, names, record
from argosy.errors import InvalidRecordError, RecordError
from argosy.log import Record
from argosy.store.columns import columns
from argosy.store.parameters import DEAD_LETTERS, RECORDS
from argosy.store.queries import load_queries
from argosy.store.row_uuid import row_uuid
from argosy.workers.dispatch.accept import record_rule
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn

REASON_LENGTH_MAX: Final = 500
STATEMENT: Final = load_queries("flush")["accept"]


@lru_cache(maxsize=4_096)
def _session(tenant: str, lane: str, name: str) -> tuple[uuid.UUID, int]:
    """Return the session's id and bucket. Cached: most sessions have many turns. Names are short: they are checked."""
    session_id = row_uuid(ids.session_id_bytes(tenant, lane, name))
    return session_id, ids.bucket_of(session_id)


def _trace(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    return names.traceparent(next((value for name, value in headers if name == "traceparent"), None))


class AcceptArrays:
    """Collects the arguments of one accept: partitions with their new positions, turns, and dead letters."""

    __slots__ = ("_dead", "_input_max", "_lane", "_log_id", "_rows", "_through", "partitions")

    def __init__(self, lane: str, log_id: str, input_max: int) -> None:
        self._lane = lane
        self._log_id = log_id
        self._input_max = input_max
        self.partitions: list[tuple[Owned, int]] = []
        self._through: list[datetime | None] = []
        self._rows: list[tuple[Any, ...]] = []
        self._dead: list[tuple[Any, ...]] = []

    def add_partition(self, owned: Owned, position: int, through_s: float | None) -> None:
        """Move the partition to `position`. through_s: the time through which it is then accepted; None: unchanged."""
        self.partitions.append((owned, position))
        self._through.append(None if through_s is None else datetime.fromtimestamp(through_s, UTC))

    def add(self, owned: Owned, each: Record, partition_count: int) -> Turn:
        """Add the record and return its turn. Raises RecordError when the record cannot become a turn."""
        asked = record.decode(each.value)
        turn_id = row_uuid(asked.turn_id)
        record_rule.check(asked, turn_id, self._lane)
        session_id, bucket = _session(asked.tenant, asked.lane, asked.session)
        if ids.partition_of(bucket, partition_count) != owned.partition or ids.turn_bucket(turn_id) != bucket:
            raise InvalidRecordError(f"the record's session belongs to bucket {bucket}, which is not in this partition")
        not_before = record_rule.not_before(asked, turn_id)
        trace = _trace(each.headers) if each.headers else None
        self._rows.append(
            (
                owned.partition,
                turn_id,
                asked.tenant,
                session_id,
                asked.session,
                bucket,
                asked.workflow,
                asked.input,
                asked.on_busy,
                asked.priority,
                not_before,
                asked.deadline_s or None,
                asked.idempotency_key,
                asked.digest or None,
                asked.tags or None,
                trace.decode() if trace else None,
            )
        )
        return Turn(
            owned=owned,
            turn_id=turn_id,
            tenant=asked.tenant,
            session_id=session_id,
            session_name=asked.session,
            bucket=bucket,
            place=0,
            workflow=asked.workflow,
            priority=asked.priority,
            input=asked.input if len(asked.input) <= self._input_max else None,
        )

    def add_dead_letter(self, owned: Owned, each: Record, error: RecordError) -> None:
        self._dead.append(
            (owned.partition, each.position, each.value or b"", error.code, str(error)[:REASON_LENGTH_MAX])
        )

    def arguments(self) -> list[Any]:
        """Return all arguments of the SQL function after the worker and the number of the call."""
        return [
            self._lane,
            self._log_id,
            [owned.partition for owned, _ in self.partitions],
            [owned.epoch for owned, _ in self.partitions],
            [owned.position for owned, _ in self.partitions],
            [position for _, position in self.partitions],
            self._through,
            *columns(self._rows, RECORDS),
            *columns(self._dead, DEAD_LETTERS),
        ]

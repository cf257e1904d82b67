"""What a record must be to become a turn, and the arguments of the SQL function `accept` for those that do.

Gateways append only records that become turns, other producers anything.
"""

import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from argosy import ids, json_text, names, record
from argosy.errors import InvalidRecordError, RecordError
from argosy.identity import turn_principal
from argosy.log import Record
from argosy.record import TurnRequested
from argosy.store.columns import columns
from argosy.store.parameters import DEAD_LETTERS, RECORDS
from argosy.store.queries import load_queries
from argosy.store.row_uuid import row_uuid
from argosy.store.start import StartRow
from argosy.workers.dispatch.accept.record_payloads import AS_THEY_ARE, RecordPayloads
from argosy.workers.dispatch.lateness import ExpiredRecordError
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn

REASON_LENGTH_MAX: Final = 500  # of a dead letter: the error may quote the record
STATEMENT: Final = load_queries("flush")["accept"]

_CLOCKS_DIFFER_MS: Final = 86_400_000  # at most, between the clock of the minting gateway and others

_Tag = Annotated[str, Meta(min_length=1, max_length=names.TAG_LENGTH_MAX, pattern=names.TAG_PATTERN)]
_decode_tags = msgspec.json.Decoder(Annotated[tuple[_Tag, ...], Meta(max_length=names.TAGS_MAX)]).decode


@lru_cache(maxsize=4_096)
def _session(tenant: str, lane: str, name: str) -> tuple[uuid.UUID, int]:
    """Return the session's id and bucket. Cached: most sessions have many turns. Names are short: they are checked."""
    session_id = row_uuid(ids.session_id_bytes(tenant, lane, name))
    return session_id, ids.bucket_of(session_id)


def _trace(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    return names.traceparent(next((value for name, value in headers if name == "traceparent"), None))


def _created_by(claimed: bytes, *, is_proved: bool) -> bytes | None:
    try:
        return turn_principal.taken(claimed, is_proved=is_proved)
    except ValueError as error:
        raise InvalidRecordError(str(error)) from error


def _check_age(asked: TurnRequested, owned: Owned) -> None:
    if (minted_ms := int.from_bytes(asked.turn_id[:6], "big")) < owned.new_since_ms:
        days = (owned.new_since_ms - minted_ms) / 86_400_000 + 1
        raise ExpiredRecordError(
            f"the record's id is {days:.1f} days older than what was accepted before it: this is a copy of an old "
            "record, or its gateway's clock is slow"
        )


class AcceptArrays:
    """Collects the arguments of one accept: flat parallel arrays, in the order of the function's parameters.

    They say the partitions with their new positions, the turns, and the dead letters. A partition whose new position is
    None has turns that other turns started, and no records. payloads: opens and seals the inputs.
    """

    __slots__ = ("_dead", "_input_max", "_lane", "_log_id", "_payloads", "_rows", "partitions", "through")

    def __init__(self, lane: str, log_id: str, input_max: int, payloads: RecordPayloads = AS_THEY_ARE) -> None:
        self._payloads = payloads
        self._lane = lane
        self._log_id = log_id
        self._input_max = input_max
        self.partitions: list[tuple[Owned, int | None]] = []
        self.through: list[datetime | None] = []
        self._rows: list[tuple[Any, ...]] = []
        self._dead: list[tuple[Any, ...]] = []

    def add_partition(self, owned: Owned, position: int, through_s: float | None) -> None:
        """Move the partition to `position`. through_s: the time through which it is then accepted; None: unchanged."""
        self.partitions.append((owned, position))
        self.through.append(None if through_s is None else datetime.fromtimestamp(through_s, UTC))

    def add_start(self, owned: Owned, row: StartRow, partition_count: int) -> Turn:
        """Add a turn that another turn started, and return it. Raises RecordError when it cannot become a turn.

        A call with such turns has no records of their partitions: what is moved there is not the position.
        """
        try:
            asked = record.decode(row.record)
            session_id, _ = _session(asked.tenant, asked.lane, asked.session)
            if (asked.turn_id, asked.tenant, session_id) != (row.turn_id.bytes, row.tenant, row.session_id):
                raise InvalidRecordError("the record is not of the turn that was asked for")
            turn = self._add(owned, asked, None, row.created_by, partition_count)
        except RecordError:
            raise
        except Exception as error:  # whatever is wrong with one record must not stop the others
            raise RecordError(f"{error!r:.500}") from error
        if all(each is not owned for each, _ in self.partitions):
            self.partitions.append((owned, None))
            self.through.append(None)
        return turn

    def add(self, owned: Owned, each: Record, partition_count: int) -> Turn:
        """Add the record and return its turn. Raises RecordError when the record cannot become a turn, its subclass
        ExpiredRecordError when it can be no new one.
        """
        try:
            if each.fault is not None:
                raise each.fault
            trace = _trace(each.headers) if each.headers else None
            asked = record.decode(each.value)
            _check_age(asked, owned)
            created_by = _created_by(asked.created_by, is_proved=each.is_proved)
            return self._add(owned, asked, trace, created_by, partition_count)
        except RecordError:
            raise
        except Exception as error:  # whatever is wrong with one record must not stop the others
            raise RecordError(f"{error!r:.500}") from error

    def _add(
        self, owned: Owned, asked: TurnRequested, trace: bytes | None, created_by: bytes | None, partition_count: int
    ) -> Turn:
        turn_id = row_uuid(asked.turn_id)
        asked, stored, is_readable = self._payloads.of(asked)
        check(asked, turn_id, self._lane)
        session_id, bucket = _session(asked.tenant, asked.lane, asked.session)
        if ids.partition_of(bucket, partition_count) != owned.partition or ids.turn_bucket(turn_id) != bucket:
            raise InvalidRecordError(f"the record's session belongs to bucket {bucket}, which is not in this partition")
        not_before = not_before_of(asked, turn_id)
        self._rows.append(
            (
                owned.partition,
                turn_id,
                asked.tenant,
                session_id,
                asked.session,
                bucket,
                asked.workflow,
                stored,
                asked.on_busy,
                asked.priority,
                not_before,
                asked.deadline_s or None,
                asked.idempotency_key,
                asked.digest or None,
                asked.tags or None,
                trace.decode() if trace else None,
                created_by,
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
            input=asked.input if is_readable and len(asked.input) <= self._input_max else None,
            created_by=created_by,
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
            [None if position is None else owned.position for owned, position in self.partitions],
            [position for _, position in self.partitions],
            self.through,
            *columns(self._rows, RECORDS),
            *columns(self._dead, DEAD_LETTERS),
        ]


def check(asked: TurnRequested, turn_id: uuid.UUID, lane: str) -> None:
    """Raise InvalidRecordError when the API would have refused the record, or its id is another tenant's or lane's."""
    if asked.lane != lane:
        raise InvalidRecordError(f"the record is for lane {asked.lane!r:.100}")
    if not names.is_tenant(asked.tenant):
        raise InvalidRecordError(f"no tenant can have the name {asked.tenant!r:.100}")
    if not ids.can_be_of(turn_id, asked.tenant, lane):
        raise InvalidRecordError(f"the id {turn_id} cannot be of tenant {asked.tenant!r}")
    if fault := names.fault_of_name(asked.session):
        raise InvalidRecordError(f"the session's name {fault}")
    if not 1 <= len(asked.workflow) <= names.WORKFLOW_LENGTH_MAX or "\0" in asked.workflow:
        raise InvalidRecordError(f"no workflow can have the name {asked.workflow!r:.100}")
    if asked.idempotency_key and not names.is_key(asked.idempotency_key):
        raise InvalidRecordError(f"the idempotency key {asked.idempotency_key!r:.100} is not one that the API takes")
    if len(asked.digest) not in (0, 16):
        raise InvalidRecordError(f"a digest has 16 bytes, this one has {len(asked.digest)}")
    if not -100 <= asked.priority <= 100 or not 0 <= asked.deadline_s <= names.DEADLINE_S_MAX:
        raise InvalidRecordError(f"priority {asked.priority} or deadline_s {asked.deadline_s} is out of range")
    if not json_text.is_sound(asked.input):
        raise InvalidRecordError("the input is not JSON that every reader accepts")
    if asked.tags:
        _check_tags(asked.tags)


def not_before_of(asked: TurnRequested, turn_id: uuid.UUID) -> datetime | None:
    """Return when the turn falls due; None: at once. Raises InvalidRecordError for a time that the API would refuse."""
    if not asked.not_before_ms:
        return None
    if not 0 < asked.not_before_ms <= ids.mint_time_ms(turn_id) + names.NOT_BEFORE_MS_MAX + _CLOCKS_DIFFER_MS:
        raise InvalidRecordError(f"not_before_ms {asked.not_before_ms} is too far ahead, or no time")
    try:
        return datetime.fromtimestamp(asked.not_before_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidRecordError(f"not_before_ms {asked.not_before_ms} is no time") from error


def _check_tags(tags: bytes) -> None:
    try:
        _decode_tags(tags)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRecordError(f"the tags are not valid: {error}") from error

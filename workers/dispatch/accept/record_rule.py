"""What a record must be to become a turn. Gateways append only such records, other producers anything. Pure."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from argosy import ids, json_text, names
from argosy.errors import InvalidRecordError
from argosy.record import TurnRequested

_CLOCKS_DIFFER_MS: Final = 86_400_000  # at most, between the clock of the minting gateway and others

_Tag = Annotated[str, Meta(min_length=1, max_length=names.TAG_LENGTH_MAX, pattern=names.TAG_PATTERN)]
_decode_tags = msgspec.json.Decoder(Annotated[tuple[_Tag, ...], Meta(max_length=names.TAGS_MAX)]).decode


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
        raise InvalidRecordError(f"no idempotency key can be {asked.idempotency_key!r:.100}")
    if len(asked.digest) not in (0, 16):
        raise InvalidRecordError(f"a digest has 16 bytes, this one has {len(asked.digest)}")
    if not -100 <= asked.priority <= 100 or not 0 <= asked.deadline_s <= names.DEADLINE_S_MAX:
        raise InvalidRecordError(f"priority {asked.priority} or deadline_s {asked.deadline_s} is out of range")
    if not json_text.is_sound(asked.input):
        raise InvalidRecordError("the input is not JSON that every reader accepts")
    if asked.tags:
        _check_tags(asked.tags)


def not_before(asked: TurnRequested, turn_id: uuid.UUID) -> datetime | None:
    """Return when the turn falls due; None: at once. Raises InvalidRecordError for a time that the API would refuse."""
    if not asked.not_before_ms:
        return None
    if not 0 < asked.not_before_ms <= ids.mint_time_ms(turn_id) + names.NOT_BEFORE_MS_MAX + _CLOCKS_DIFFER_MS:
        raise InvalidRecordError(f"not_before_ms is {asked.not_before_ms}")
    try:
        return datetime.fromtimestamp(asked.not_before_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidRecordError(f"not_before_ms is {asked.not_before_ms}") from error


def _check_tags(tags: bytes) -> None:
    try:
        _decode_tags(tags)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRecordError(f"the tags are not valid: {error}") from error

"""From what a client posts to the record in the log: the one place where a turn is checked before it is admitted.

Every worker must be able to accept a turn that passes here: one that is refused later can only end as `rejected`.
"""

import hashlib
import uuid
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from argosy import ids, record
from argosy.clock import Clock
from argosy.config import Settings
from argosy.gateway import json_value, names
from argosy.gateway.problems import Problem
from argosy.gateway.views import null
from argosy.identity import turn_principal
from argosy.identity.principal import Principal
from argosy.log import Entry
from argosy.names import (
    DEADLINE_S_MAX,
    NOT_BEFORE_MS_MAX,
    TAG_LENGTH_MAX,
    TAG_PATTERN,
    TAGS_MAX,
    WORKFLOW_LENGTH_MAX,
)  # fmt: skip
from argosy.seal.codec import Sealer
from argosy.seal.places import input_of

Tag = Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH_MAX, pattern=TAG_PATTERN)]
# 7.0 is the integer 7 in JSON Schema, and how some languages write it: `int` would refuse it.
Priority = Annotated[float, Meta(ge=-100, le=100, multiple_of=1)]


class TurnPosted(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """The body of POST /v1/sessions/{session}/turns.

    not_before: RFC 3339 with an offset, a year ahead at the most. deadline_s: seconds from when the turn is due.
    """

    workflow: Annotated[str, Meta(min_length=1, max_length=WORKFLOW_LENGTH_MAX)]
    input: msgspec.Raw = msgspec.field(default_factory=null)
    on_busy: Literal["enqueue", "reject"] = "enqueue"
    priority: Priority = 0
    not_before: Annotated[datetime, Meta(tz=True)] | None = None
    deadline_s: Annotated[float, Meta(gt=0, le=DEADLINE_S_MAX)] | None = None
    tags: Annotated[tuple[Tag, ...], Meta(max_length=TAGS_MAX)] = ()


class BatchLine(TurnPosted, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One line of POST /v1/turns:batch: a turn, its session and its idempotency key."""

    session: Annotated[str, Meta(min_length=1)]
    idempotency_key: str | None = None


posted_decoder: Final = msgspec.json.Decoder(TurnPosted)
line_decoder: Final = msgspec.json.Decoder(BatchLine)
_encoder = msgspec.json.Encoder()


class Admitted(NamedTuple):
    """A turn that may be appended. digest: 16 bytes, or empty without an idempotency key. plain_digest: as turns have
    it that were posted before payloads were sealed.
    """

    turn_id: uuid.UUID
    session_id: uuid.UUID
    session: str
    key: str
    digest: bytes
    entry: Entry
    plain_digest: bytes = b""


@lru_cache(maxsize=8_192)
def _place_of(tenant: str, lane: str, session: str) -> tuple[uuid.UUID, int]:
    """Return the session_id and the bucket of a session's name. Raises Problem (which is not cached)."""
    session_id = ids.session_id_of(tenant, lane, names.session_name(session))
    return session_id, ids.bucket_of(session_id)


@lru_cache(maxsize=1_024)
def _mint_of(tenant: str, lane: str) -> ids.TurnIdMint:
    return ids.TurnIdMint(tenant, lane)


class Admission:
    """Makes records of one lane from what clients post."""

    def __init__(self, settings: Settings, clock: Clock, partition_count: int) -> None:
        self._lane = settings.lane
        self._input_size_bytes_max = settings.payload_size_bytes_max
        self._principal_size_bytes_max = settings.turn_principal_size_bytes_max
        self._clock = clock
        self._partition_count = partition_count

    def created_by(self, principal: Principal) -> bytes:
        """Return what is recorded of who posts. Raises Problem when that is too much."""
        recorded = turn_principal.recorded(principal)
        if len(recorded) > self._principal_size_bytes_max:
            detail = f"what is recorded of the token and its limits has {len(recorded)} bytes"
            raise Problem("payload_too_large", f"{detail}, the bound is {self._principal_size_bytes_max}")
        return recorded

    def admit(
        self,
        tenant: str,
        session: str,
        posted: TurnPosted,
        key: str | None,
        headers: tuple[tuple[str, bytes], ...],
        created_by: bytes = b"",
        sealer: Sealer | None = None,
    ) -> Admitted:
        """Check a posted turn, mint its id and return it with its record. created_by: of who posts it. sealer: of the
        tenant. Raises Problem.
        """
        session_id, bucket = _place_of(tenant, self._lane, session)
        raw = bytes(posted.input)
        value = json_value.check(raw, self._input_size_bytes_max, "input")
        now_ms = self._clock.unix_ms()
        not_before_ms = 0 if posted.not_before is None else _not_before_ms(posted.not_before, now_ms)
        turn_id = _mint_of(tenant, self._lane).mint(bucket, now_ms)
        digest = plain_digest = b""
        if key is not None:
            content = _content(posted, value, not_before_ms)
            plain_digest = hashlib.blake2b(content, digest_size=16).digest()
            # Sealed turns have a keyed one: whoever has the database cannot try which input it is of.
            digest = plain_digest if sealer is None else sealer.digest(content)
        if sealer is not None:
            raw = sealer.seal(raw, input_of(tenant, turn_id))
        turn = record.TurnRequested(
            turn_id.bytes,
            tenant,
            self._lane,
            session,
            posted.workflow,
            raw,
            posted.on_busy,
            int(posted.priority),
            not_before_ms,
            posted.deadline_s or 0.0,
            _encoder.encode(posted.tags) if posted.tags else b"",
            key or "",
            digest,
            created_by,
        )
        partition = ids.partition_of(bucket, self._partition_count)
        entry = Entry(partition, session_id.bytes, record.encode(turn), headers)
        return Admitted(turn_id, session_id, session, key or "", digest, entry, plain_digest)


def checked_key(key: str | None) -> str | None:
    """Return a valid idempotency key, or None when there is none. Raises Problem."""
    return None if key is None else names.idempotency_key(key)


def _not_before_ms(not_before: datetime, now_ms: int) -> int:
    try:
        value_ms = int(not_before.timestamp() * 1000)
    except (OverflowError, ValueError):
        value_ms = NOT_BEFORE_MS_MAX + now_ms + 1
    if value_ms > now_ms + NOT_BEFORE_MS_MAX:
        raise Problem("invalid_request", "not_before may be a year ahead at the most")
    return max(0, value_ms)


def _content(posted: TurnPosted, value: Any, not_before_ms: int) -> bytes:
    """Return what a repetition under the same key must have, too.

    It must never change: digests of different versions of Argosy are compared.
    """
    parts = (
        posted.workflow,
        msgspec.Raw(json_value.canonical(value)),
        posted.on_busy,
        int(posted.priority),
        not_before_ms,
        posted.deadline_s,
        posted.tags,
    )
    return _encoder.encode(parts)

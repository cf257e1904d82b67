"""The shapes of the answers that clients are shown, and how rows become them.

Inputs, results and payloads go out as the JSON bytes that were stored, without being decoded.
Units: times are ISO 8601 in UTC. `accepted_at` is when the gateway minted the turn's id.
"""

import uuid
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from argosy import ids
from argosy.identity.turn_principal import principal_of_turn
from argosy.json_text import is_sound
from argosy.store.turn import EventRow, TurnListed, TurnShown
from argosy.turn.events import STEP_EVENTS, STEP_STATUS_AFTER, Cancelling, Event, WireEvent
from argosy.turn.projection import shown
from argosy.turn.wait import decode as decode_waits

NULL: Final = msgspec.Raw(b"null")


def null() -> msgspec.Raw:
    """Return a JSON null, as a default_factory: then the schema in the OpenAPI document names no default."""
    return NULL


def _empty() -> msgspec.Raw:
    return msgspec.Raw(b"[]")


class Step(msgspec.Struct, kw_only=True):
    """One step, read from its events. status: intended, retrying, completed, failed or cancelled (given up)."""

    key: str
    status: str
    result: msgspec.Raw = msgspec.field(default_factory=null)
    error: msgspec.Raw = msgspec.field(default_factory=null)
    attempts: int = 0


class Wait(msgspec.Struct, kw_only=True):
    """What a suspended turn waits for. kind: signal (of this name), sleep or retry (because of the shard of this name,
    if there is one, and sooner when it is back). due_at: the wait ends by then.
    """

    key: str
    kind: str
    name: str | None = None
    due_at: datetime | None = None


class Signals(msgspec.Struct, kw_only=True):
    """How many signals a turn has not taken. unread: it may still take them; late: it ended without them."""

    unread: int = 0
    late: int = 0


class CreatedBy(msgspec.Struct, kw_only=True):
    """Who posted a turn. kind: token, jwt, or local, when nobody was asked. id: as in the audit; no secret."""

    kind: str
    id: str


class Turn(msgspec.Struct, kw_only=True):
    """A turn. requested_turn_id: the id in the address, when that is a duplicate of this turn. cancelling_until: until
    when the code of a turn that was cancelled may clean up, while it still runs. created_by: null until a worker has
    accepted the turn, and when it is not known.
    """

    turn_id: uuid.UUID
    requested_turn_id: uuid.UUID | msgspec.UnsetType = msgspec.UNSET
    session: str | None = None
    workflow: str | None = None
    version: str | None = None
    status: str
    reason: str | None = None
    cancelling_until: datetime | None = None
    input: msgspec.Raw = msgspec.field(default_factory=null)
    result: msgspec.Raw = msgspec.field(default_factory=null)
    error: msgspec.Raw = msgspec.field(default_factory=null)
    attempt: int = 0
    steps: list[Step] = []
    steps_truncated: bool = False
    waits: list[Wait] = []
    signals: Signals = msgspec.field(default_factory=Signals)
    on_busy: str | None = None
    priority: int = 0
    not_before: datetime | None = None
    deadline_s: float | None = None
    tags: msgspec.Raw = msgspec.field(default_factory=_empty)
    created_by: CreatedBy | None = None
    accepted_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class TurnSummary(msgspec.Struct, kw_only=True):
    """A turn in a list."""

    turn_id: uuid.UUID
    workflow: str
    version: str | None
    status: str
    reason: str | None
    duplicate_of: uuid.UUID | None
    attempt: int
    priority: int
    tags: msgspec.Raw
    created_by: CreatedBy | None
    accepted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class TurnEvent(msgspec.Struct, kw_only=True):
    """One durable event. id: lineage-seq, the same as in streams."""

    id: str
    seq: int
    attempt: int
    type: str
    key: str
    at: datetime
    data: msgspec.Raw


class TurnEvents(msgspec.Struct, kw_only=True):
    """Events in order; `next` is the `after` of the next page."""

    turn_id: uuid.UUID
    events: list[TurnEvent]
    next: int


class _StepData(msgspec.Struct):
    result: msgspec.Raw = msgspec.field(default_factory=null)
    type: msgspec.Raw = msgspec.field(default_factory=null)
    message: msgspec.Raw = msgspec.field(default_factory=null)
    traceback: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    attempts: int = 0


_decode_step = msgspec.json.Decoder(_StepData).decode


def minted_at(turn_id: uuid.UUID) -> datetime:
    """Return when a turn's id was minted, or datetime.max when the id holds a time that no calendar has."""
    try:
        return datetime.fromtimestamp(ids.mint_time_ms(turn_id) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def turn(row: TurnShown, requested: uuid.UUID) -> Turn:
    """Return the view of a turn that has a row. requested: the id that the client asked for."""
    return Turn(
        turn_id=row.turn_id,
        requested_turn_id=msgspec.UNSET if requested == row.turn_id else requested,
        session=row.session,
        workflow=row.workflow,
        version=row.version,
        status=row.status,
        reason=row.reason,
        cancelling_until=cancelling_until(row.cancelling),
        input=_stored(row.input),
        result=_raw(row.result),
        error=_raw(row.error),
        attempt=row.attempt,
        steps=steps(row.step_events),
        steps_truncated=row.has_more_steps,
        waits=waits(row.waits),
        signals=Signals(unread=row.signals_unread, late=row.signals_late),
        on_busy=row.on_busy,
        priority=row.priority,
        not_before=row.not_before,
        deadline_s=row.deadline_s,
        tags=_stored(row.tags, b"[]"),
        created_by=created_by(row.created_by),
        accepted_at=minted_at(row.turn_id),
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def created_by(recorded: bytes | None) -> CreatedBy | None:
    """Return as much of who posted a turn as clients are shown."""
    who = principal_of_turn(recorded, "")
    return None if who is None else CreatedBy(kind=who.kind, id=who.id)


def cancelling_until(told: bytes | None) -> datetime | None:
    """Return until when the code of a cancelled turn may clean up. told: the data of its turn.cancelling, if any."""
    return None if told is None else msgspec.json.decode(told, type=Cancelling).until


def summary(row: TurnListed) -> TurnSummary:
    return TurnSummary(
        turn_id=row.turn_id,
        workflow=row.workflow,
        version=row.version,
        status=row.status,
        reason=row.reason,
        duplicate_of=row.duplicate_of,
        attempt=row.attempt,
        priority=row.priority,
        tags=_stored(row.tags, b"[]"),
        created_by=created_by(row.created_by),
        accepted_at=minted_at(row.turn_id),
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def steps(events: list[EventRow]) -> list[Step]:
    """Return the steps that clients may see, in the order of their first events, each as its last event left it."""
    by_key: dict[str, Step] = {}
    for row in events:
        event = shown(row.type, row.key, row.data)
        if event.type == WireEvent.STEP_PRIVATE:
            continue
        step = by_key.setdefault(event.key, Step(key=event.key, status=""))
        step.status = STEP_STATUS_AFTER[Event(event.type)]
        data = _decode_step(event.data)
        step.attempts = max(step.attempts, data.attempts)
        step.result = data.result
        step.error = NULL if event.type in _WITHOUT_ERROR else _error(data)
    return list(by_key.values())


_WITHOUT_ERROR: Final = STEP_EVENTS - {Event.STEP_FAILED, Event.STEP_RETRYING}


def _error(data: _StepData) -> msgspec.Raw:
    members = {"type": data.type, "message": data.message}
    if data.traceback is not msgspec.UNSET:
        members["traceback"] = data.traceback
    return msgspec.Raw(msgspec.json.encode(members))


def waits(written: bytes | None) -> list[Wait]:
    """Return the waits that a worker wrote, without the keys of private ones."""
    return [
        Wait(
            key="" if wait.private else wait.key,
            kind=wait.kind,
            name=wait.name or None,
            due_at=datetime.fromtimestamp(wait.due_at_s, UTC) if wait.due_at_s else None,
        )
        for wait in decode_waits(written)
    ]


def event(row: EventRow) -> TurnEvent:
    """Return an event as clients may see it."""
    event = shown(row.type, row.key, row.data)
    return TurnEvent(
        id=f"{row.lineage}-{row.seq}",
        seq=row.seq,
        attempt=row.attempt,
        type=event.type,
        key=event.key,
        at=row.at,
        data=msgspec.Raw(event.data),
    )


def _raw(value: bytes | None, when_none: bytes = b"null") -> msgspec.Raw:
    return msgspec.Raw(when_none if value is None else value)


def _stored(value: bytes | None, when_none: bytes = b"null") -> msgspec.Raw:
    """Return JSON that came with a record, or when_none if it is unsound.

    An older version accepted any bytes, and one row must not spoil the answer that contains it.
    """
    return _raw(value if value is None or is_sound(value) else None, when_none)


def encode(view: Any) -> bytes:
    """Return the bytes of an answer."""
    return msgspec.json.encode(view)

"""A turn as a gateway shows it, and its result or error."""

from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from argosy.client.errors import (
    TurnCancelledError,
    TurnError,
    TurnExpiredError,
    TurnFailedError,
    TurnParkedError,
    TurnRejectedError,
)
from argosy.errors import CallerError
from argosy.turn.status import ENDED, Status

_Shape = TypeVar("_Shape")
_ERRORS: Final[dict[str, type[TurnError]]] = {
    Status.CANCELLED: TurnCancelledError,
    Status.EXPIRED: TurnExpiredError,
    Status.REJECTED: TurnRejectedError,
    Status.PARKED: TurnParkedError,
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step. status: intended, retrying, completed, failed or cancelled (given up). attempts: its tries so far."""

    key: str
    status: str
    result: Any = None
    error: Any = None
    attempts: int = 0


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A wait of a suspended turn. kind: signal (with this name), sleep or retry (because of the shard of this name, if
    there is one). due_at: when it ends at the latest.
    """

    key: str
    kind: str
    name: str | None = None
    due_at: datetime | None = None


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of signals that were sent to a turn and that it has not taken. unread: it may still take them; late:
    it has ended without them.
    """

    unread: int = 0
    late: int = 0


class CreatedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who posted a turn. kind: token, jwt, or local, when nobody was asked."""

    kind: str
    id: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn at one moment. A turn that is still only in the log has no more than turn_id, status and accepted_at.
    created_by: None also when it is not known.
    """

    turn_id: str
    status: str
    session: str | None = None
    workflow: str | None = None
    version: str | None = None
    reason: str | None = None
    cancelling_until: datetime | None = None
    input: Any = None
    result: Any = None
    error: Any = None
    attempt: int = 0
    steps: tuple[Step, ...] = ()
    steps_truncated: bool = False
    waits: tuple[Wait, ...] = ()
    signals: Signals = Signals()
    priority: int = 0
    tags: tuple[str, ...] = ()
    created_by: CreatedBy | None = None
    accepted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class _Submitted(msgspec.Struct, frozen=True):
    turn_id: str


_turn: Final = msgspec.json.Decoder(Turn)
_submitted: Final = msgspec.json.Decoder(_Submitted)


def decode_turn(content: bytes) -> Turn:
    """Decode the answer to a GET of a turn. Raises CallerError when it is not a gateway's answer."""
    return _decode(_turn, content)


def submitted_id(content: bytes) -> str:
    """Return the id of the turn from the answer to the POST that submitted it. Raises CallerError when it is not a
    gateway's answer.
    """
    return _decode(_submitted, content).turn_id


def _decode(decoder: msgspec.json.Decoder[_Shape], content: bytes) -> _Shape:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallerError(f"what answers is no gateway of Argosy: {error}") from error


def is_settled(turn: Turn) -> bool:
    """Whether the turn has ended, or is parked, so that it does not go on by itself."""
    return turn.has_ended or turn.status == Status.PARKED


def result_of(turn: Turn) -> Any:
    """Return the result of a settled turn. Raises TurnError when the turn did not complete."""
    if turn.status == Status.COMPLETED:
        return turn.result
    error = turn.error if isinstance(turn.error, dict) else {}
    message = str(error.get("message", ""))
    if turn.status == Status.FAILED:
        raise TurnFailedError(
            turn.turn_id, str(error.get("type", "Error")), message, turn.reason, str(error.get("traceback") or "")
        )
    kind = _ERRORS.get(turn.status, TurnError)
    raise kind(turn.turn_id, turn.status, message or turn.reason or "", turn.reason)

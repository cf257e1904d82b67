"""Writes and reads the data of the events that a turn's operations leave (argosy/turn/events.py has the table)."""

import uuid
from typing import Any, Final

import msgspec

from argosy.errors import StepFailedError, WaitTimeoutError
from argosy.turn.events import Event
from argosy.turn.keys import signal_of
from argosy.workflow.frames import clipped, kind_of, words_of
from argosy.workflow.replay import Recorded

MESSAGE_SIZE_BYTES_MAX: Final = 2_048  # as in frames.py: an event of an error stays below 5 KB
_TYPE_CHARACTERS_MAX: Final = 200
_CAUSE_SIZE_BYTES_MAX: Final = 500
_CAUSES_MAX: Final = 5


class _Completed(msgspec.Struct, gc=False):
    result: Any


class _Failed(msgspec.Struct, gc=False):
    type: str
    message: str
    private: Any = None
    away: bool = False
    shard: str = ""
    traceback: str = ""
    causes: list[tuple[str, str]] = []


class _Received(msgspec.Struct, gc=False):
    payload: Any = None


class _Value(msgspec.Struct, gc=False):
    value: Any


_decode_completed = msgspec.json.Decoder(_Completed).decode
_decode_failed = msgspec.json.Decoder(_Failed).decode
_decode_received = msgspec.json.Decoder(_Received).decode
_decode_value = msgspec.json.Decoder(_Value).decode
encode: Final = msgspec.json.Encoder().encode


class Failure(msgspec.Struct, omit_defaults=True):
    """The data of a try that failed. attempts: tries so far; delay_s: until the next try, None after the last; away: a
    graph could not be asked, so the try spent none of the step's retries; shard: the id of the one of graphs that did
    not answer: the next try comes sooner if it does.

    traceback: only of the last try; causes: type and message of the error that it was raised from, and so on.
    """

    type: str
    message: str
    attempts: int
    delay_s: float | None = None
    away: bool = False
    shard: str = ""
    traceback: str = ""
    causes: list[tuple[str, str]] = []


def completed(result: bytes, attempts: int) -> bytes:
    """Return the data of step.completed. result: JSON."""
    return b'{"result":%b,"attempts":%d}' % (result, attempts)


def extended(data: bytes, members: bytes) -> bytes:
    """Return the data with further members (`"name":value`, separated by commas; empty for none)."""
    if not members:
        return data
    return b"%b%b%b}" % (data[:-1], b"" if data == b"{}" else b",", members)


def with_channels(data: bytes, channels: bytes) -> bytes:
    """Return the data with what was emitted. channels: a JSON object, or empty for none."""
    return extended(data, b'"channels":' + channels) if channels else data


def value(value: str) -> bytes:
    """Return the data of value.recorded."""
    return encode({"value": value})


def failure_of(error: BaseException, attempts: int, shard: uuid.UUID | None = None) -> Failure:
    """Return an error as it is recorded: type and message, bounded, and valid Unicode whatever the error holds. shard:
    the one that did not answer.
    """
    kind = error.error_type if isinstance(error, StepFailedError) else kind_of(error)
    message = clipped(words_of(error), MESSAGE_SIZE_BYTES_MAX)
    return Failure(kind[:_TYPE_CHARACTERS_MAX], message, attempts, shard="" if shard is None else str(shard))


def value_of(found: Recorded) -> Any:
    """Return the value of an operation whose recorded outcome is not an error."""
    if found.type is Event.STEP_COMPLETED:
        return _decode_completed(found.data).result
    if found.type is Event.WAIT_COMPLETED:
        return _decode_received(found.data).payload
    return _decode_value(found.data).value


def error_of(found: Recorded, key: str) -> StepFailedError | WaitTimeoutError | None:
    """Return the error that a recorded outcome raises, or None.

    Not raised here: its traceback would keep the caller's frame alive.
    """
    if found.type is Event.WAIT_TIMED_OUT:
        return WaitTimeoutError(f"no signal {signal_of(key)!r} came in time")
    if found.type is not Event.STEP_FAILED:
        return None
    failed = _decode_failed(found.data)
    is_private = failed.private is True
    error = StepFailedError(failed.message, failed.type, is_private=is_private, traceback=failed.traceback)
    cause: BaseException = error
    for kind, message in failed.causes:
        cause.__cause__ = StepFailedError(message, kind, is_private=is_private)
        cause = cause.__cause__
    return error


def type_of(data: bytes) -> str:
    """Return the error's class, of the data of a try that failed."""
    return _decode_failed(data).type


def shard_of(data: bytes) -> str:
    """Return the shard that did not answer, of the data of a try that failed; empty when it failed otherwise."""
    return _decode_failed(data).shard


def is_away(data: bytes) -> bool:
    """Whether a graph could not be asked, of the data of a try that failed."""
    return _decode_failed(data).away


def causes_of(error: BaseException) -> list[tuple[str, str]]:
    """Return type and message of the error's causes, the nearest first: at most _CAUSES_MAX."""
    found: list[tuple[str, str]] = []
    cause = error.__cause__
    while cause is not None and len(found) < _CAUSES_MAX:
        kind = cause.error_type if isinstance(cause, StepFailedError) else kind_of(cause)
        found.append((kind[:_TYPE_CHARACTERS_MAX], clipped(words_of(cause), _CAUSE_SIZE_BYTES_MAX)))
        cause = cause.__cause__
    return found


def with_digest(data: bytes, digest: str) -> bytes:
    """Return the data with the digest of the step's arguments, which clients are not shown.

    The digest is the last member and has a fixed length, so that argosy/turn/projection.py finds and removes it without
    decoding the data.
    """
    return b'%b,"args":"%b"}' % (data[:-1], digest.encode()) if digest else data


def digest_of(data: bytes) -> str:
    """Return the digest that `with_digest` wrote, or an empty string."""
    return data[-10:-2].decode() if data[-19:-10] == b',"args":"' else ""

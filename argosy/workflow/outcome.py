"""The data of the events that a turn's operations leave (argosy/turn/events.py has the table), written and read."""

from typing import Any, Final

import msgspec

from argosy.errors import StepFailedError, WaitTimeoutError
from argosy.turn.events import Event
from argosy.workflow.frames import clipped, kind_of, words_of
from argosy.workflow.keys import signal_of
from argosy.workflow.replay import Recorded

MESSAGE_SIZE_BYTES_MAX: Final = 2_048
_TYPE_CHARACTERS_MAX: Final = 200
_CAUSE_SIZE_BYTES_MAX: Final = 500
_CAUSES_MAX: Final = 5


class _Completed(msgspec.Struct, gc=False):
    result: Any


class _Failed(msgspec.Struct, gc=False):
    type: str
    message: str
    private: Any = None
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
    """What is written of a try that failed. attempts: tries so far; delay_s: until the next, None after the last.
    traceback: of the last; causes: type and message of what it was raised from, and so on.
    """

    type: str
    message: str
    attempts: int
    delay_s: float | None = None
    traceback: str = ""
    causes: list[tuple[str, str]] = []


def completed(result: bytes, attempts: int) -> bytes:
    """Data of step.completed. result: JSON."""
    return b'{"result":%b,"attempts":%d}' % (result, attempts)


def extended(data: bytes, members: bytes) -> bytes:
    """The data with further members: `"name":value`, comma-separated, or none."""
    if not members:
        return data
    return b"%b%b%b}" % (data[:-1], b"" if data == b"{}" else b",", members)


def with_channels(data: bytes, channels: bytes) -> bytes:
    """The data with what was emitted. channels: a JSON object, or empty for none."""
    return extended(data, b'"channels":' + channels) if channels else data


def value(value: str) -> bytes:
    """Data of value.recorded."""
    return encode({"value": value})


def failure_of(error: BaseException, attempts: int) -> Failure:
    """An error as it is written: its type's name and its message, bounded and valid Unicode whatever it holds."""
    kind = error.error_type if isinstance(error, StepFailedError) else kind_of(error)
    return Failure(kind[:_TYPE_CHARACTERS_MAX], clipped(words_of(error), MESSAGE_SIZE_BYTES_MAX), attempts)


def value_of(found: Recorded) -> Any:
    """What an operation returned whose outcome is recorded."""
    if found.type is Event.STEP_COMPLETED:
        return _decode_completed(found.data).result
    if found.type is Event.WAIT_COMPLETED:
        return _decode_received(found.data).payload
    return _decode_value(found.data).value


def error_of(found: Recorded, key: str) -> StepFailedError | WaitTimeoutError | None:
    """What an operation raised whose outcome is recorded, or None. Not raised here: a traceback would hold who asks."""
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


def causes_of(error: BaseException) -> list[tuple[str, str]]:
    """Type and message of what an error was raised from, and that from, and so on; the nearest first, bounded."""
    found: list[tuple[str, str]] = []
    cause = error.__cause__
    while cause is not None and len(found) < _CAUSES_MAX:
        kind = cause.error_type if isinstance(cause, StepFailedError) else kind_of(cause)
        found.append((kind[:_TYPE_CHARACTERS_MAX], clipped(words_of(cause), _CAUSE_SIZE_BYTES_MAX)))
        cause = cause.__cause__
    return found


def with_digest(data: bytes, digest: str) -> bytes:
    """The data with the digest of a step's arguments, which is for ourselves: the last member, of fixed length, so that
    it is found and left out (argosy/turn/projection.py) without decoding anything.
    """
    return b'%b,"args":"%b"}' % (data[:-1], digest.encode()) if digest else data


def digest_of(data: bytes) -> str:
    """The digest that `with_digest` wrote, or nothing."""
    return data[-10:-2].decode() if data[-19:-10] == b',"args":"' else ""

"""The data of the events that a turn's operations leave (argosy/turn/events.py has the table), written and read."""

from typing import Any, Final

import msgspec

from argosy.errors import StepFailedError, WaitTimeoutError
from argosy.turn.events import Event
from argosy.workflow.frames import clipped, kind_of, words_of
from argosy.workflow.journal import Recorded

MESSAGE_SIZE_BYTES_MAX: Final = 2_048
_TYPE_CHARACTERS_MAX: Final = 200


class _Completed(msgspec.Struct, gc=False):
    result: Any


class _Failed(msgspec.Struct, gc=False):
    type: str
    message: str
    private: Any = None
    traceback: str = ""


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
    traceback: of the last.
    """

    type: str
    message: str
    attempts: int
    delay_s: float | None = None
    traceback: str = ""


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


def value_of(found: Recorded, key: str) -> Any:
    """What an operation whose outcome is recorded returns. Raises what it raised: StepFailedError, WaitTimeoutError."""
    if found.type is Event.STEP_COMPLETED:
        return _decode_completed(found.data).result
    if found.type is Event.STEP_FAILED:
        failed = _decode_failed(found.data)
        raise StepFailedError(
            failed.message, failed.type, is_private=failed.private is True, traceback=failed.traceback
        )
    if found.type is Event.WAIT_COMPLETED:
        return _decode_received(found.data).payload
    if found.type is Event.VALUE_RECORDED:
        return _decode_value(found.data).value
    raise WaitTimeoutError(f"no signal {_signal_of(key)!r} came in time")


def _signal_of(key: str) -> str:
    return key.removeprefix("signal:").partition("#")[0]

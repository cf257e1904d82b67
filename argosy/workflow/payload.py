"""Values that are written down: results of steps and workflows, as JSON bytes.

Promise: what `encode` accepts, `decode` gives back equal (a tuple as a list), in every process; what JSON cannot hold
is refused, never changed on the way. So the first run of a step and every replay see the same.
"""

import math
from typing import Any, Final

import msgspec

from argosy.errors import EncodingError, PayloadTooLargeError

NESTING_MAX: Final = 100  # as for inputs: whoever reads it later may be deeper in its stack

_encode = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder().decode

_KIND_OF_JSON: Final = (str, bool, int, type(None))


def encode(value: Any, size_bytes_max: int, what: str = "the result of the step") -> tuple[bytes, Any]:
    """The JSON of a value, and the value as it is decoded from it.

    Raises EncodingError (names the place and the type), PayloadTooLargeError (names both sizes).
    """
    try:
        encoded = _encode(value)
        decoded = decode(encoded)
        if (
            decoded != value
        ):  # NaN, which JSON writes as null, sets, objects, keys that are no strings …; or only tuples
            _check(value, "$")
    except RecursionError:
        raise EncodingError(f"{what} is nested too deep or contains itself") from None
    except UnicodeEncodeError:
        raise EncodingError(f"{what} has a string with a lone surrogate, which is no valid Unicode") from None
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise EncodingError(f"{what} cannot be written as JSON: {_reason(value, error)}") from None
    if len(encoded) > size_bytes_max:
        raise PayloadTooLargeError(
            f"{what} has {len(encoded)} bytes, the bound is PAYLOAD_SIZE_BYTES_MAX={size_bytes_max}"
        )
    if (
        len(encoded) > NESTING_MAX
        and encoded.count(b"[") + encoded.count(b"{") > NESTING_MAX
        and _is_deeper(decoded, NESTING_MAX)
    ):
        raise EncodingError(f"{what} is nested deeper than {NESTING_MAX}")
    return encoded, decoded


def _reason(value: Any, error: Exception) -> str:
    """Where and what, when the walk finds it; else what the encoder said."""
    if isinstance(error, _NotJsonError):
        return str(error)
    try:
        _check(value, "$")
    except _NotJsonError as found:
        return str(found)
    return str(error)


class _NotJsonError(TypeError):
    """What `_check` found."""


def _check(value: Any, path: str) -> None:
    """Raises _NotJsonError for the first thing in a value that JSON does not have."""
    if isinstance(value, _KIND_OF_JSON):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _NotJsonError(f"{value} at {path}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _NotJsonError(f"key {key!r:.80} at {path} is no string")
            _check(item, f"{path}.{key:.80}")
    else:
        raise _NotJsonError(f"{type(value).__name__} at {path}")


def _is_deeper(value: Any, depth_max: int) -> bool:
    """Whether containers stand in each other more than depth_max times; level by level, so nothing recurses."""
    level = [value]
    for _ in range(depth_max + 1):
        level = [item for item in level if isinstance(item, (list, dict))]
        if not level:
            return False
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return True

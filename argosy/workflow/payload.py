"""Encodes the results of steps and workflows as JSON, and decodes them.

Promise: `decode` gives back an equal value for whatever `encode` accepts (a tuple comes back as a list), in every
process; `encode` refuses what JSON cannot hold and never changes it. So the first run of a step and every replay see
the same.
"""

import math
from typing import Any, Final

import msgspec

from argosy.errors import EncodingError, PayloadTooLargeError

NESTING_MAX: Final = 100  # as for inputs; a later reader may already be deep in its own stack

_encode = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder().decode

_KIND_OF_JSON: Final = (str, bool, int, type(None))


def encode(value: Any, size_bytes_max: int, what: str = "the result of the step") -> tuple[bytes, Any]:
    """Return the JSON of a value, and the value as decoded from that JSON.

    Raises EncodingError (names the place and the type), PayloadTooLargeError (names both sizes).
    """
    try:
        encoded = _encode(value)
        decoded = decode(encoded)
        if (
            decoded != value
        ):  # NaN (encoded as null), a set, an object, a key that is no string …; or only a tuple, which is accepted
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
    """Return the place and the type that JSON does not have, or else the encoder's message."""
    if isinstance(error, _NotJsonError):
        return str(error)
    try:
        _check(value, "$")
    except _NotJsonError as found:
        return str(found)
    return str(error)


class _NotJsonError(TypeError):
    """A value that JSON does not have, and its place."""


def _check(value: Any, path: str) -> None:
    """Raise _NotJsonError for the first part of a value that JSON does not have."""
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
    """Whether containers are nested deeper than depth_max; goes level by level, without recursion."""
    level = [value]
    for _ in range(depth_max + 1):
        level = [item for item in level if isinstance(item, (list, dict))]
        if not level:
            return False
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return True

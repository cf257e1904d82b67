"""What a workflow gives to steps and gets from them: copies and digests of arguments, results as JSON.

Promise: `decode` gives back an equal value for whatever `encode` accepts (a tuple comes back as a list), in every
process; `encode` refuses what JSON cannot hold and never changes it. So the first run of a step and every replay see
the same.

Rules for arguments, of which steps get copies, so that what a step changes does not come back to the workflow:
- The copy has the types of the original: pickle keeps them, whereas marshal would turn a bytearray or an array into
  bytes.
- The step shares what cannot be copied (a client, a lock, a lambda) with the workflow, which must not change it. The
  lists, tuples and dicts that hold such an object are copied.
- Arguments that are equal as JSON have the same digest in every process. An object that has no JSON counts with its
  class only. A replay compares the digest with the recorded one.
"""

import math
import pickle
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from argosy.errors import EncodingError, PayloadTooLargeError

NESTING_MAX: Final = 100  # as for inputs; a later reader may already be deep in its own stack

_encode = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder().decode

_KIND_OF_JSON: Final = (str, bool, int, type(None))
_IMMUTABLE: Final = frozenset({str, int, float, bool, bytes, complex, type(None)})
_FLAT: Final = (dict, list)
_NOTHING: Final[Mapping[str, Any]] = {}


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


def copied(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return copies of the positional and of the keyword arguments."""
    return tuple(map(_copied, args)), {name: _copied(each) for name, each in kwargs.items()} if kwargs else {}


def digest(args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NOTHING) -> str:
    """Return eight hexadecimal digits; empty when there are no arguments or they cannot be encoded."""
    if not args and not kwargs:
        return ""
    try:
        return f"{zlib.crc32(_encode_any((args, kwargs) if kwargs else args)):08x}"
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError):
        return ""


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    try:
        if _is_flat(kind, value):  # equal to what pickle makes, in a fifth of the time
            return value.copy()
        return _copied_within(value, {})
    except RecursionError:
        return value


def _is_flat(kind: type, value: Any) -> bool:
    """Whether it is a dict or a list that holds immutables only."""
    try:
        if kind is dict and not _IMMUTABLE.issuperset(map(type, value)):
            return False
        return kind in _FLAT and _IMMUTABLE.issuperset(map(type, value.values() if kind is dict else value))
    except (RuntimeError, TypeError):  # a thread changes it meanwhile; a class that cannot be hashed
        return False


def _copied_within(value: Any, around: dict[int, Any]) -> Any:
    """Copy a value for which `_copied` had no short cut.

    around: the copies of the containers that hold this value, by the ids of the originals.
    """
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    with suppress(Exception):  # pickling runs code of the object's class, which may raise anything
        return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))  # noqa: S301 — bytes made in this very line
    if (copy := around.get(id(value))) is not None:
        return copy
    if kind is list:
        copy = around[id(value)] = []
        copy.extend(_copied_within(each, around) for each in value)
        return copy
    if kind is dict:
        copy = around[id(value)] = {}
        copy.update((key, _copied_within(each, around)) for key, each in value.items())
        return copy
    return tuple(_copied_within(each, around) for each in value) if kind is tuple else value


def _class_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_encode_any: Final = msgspec.json.Encoder(enc_hook=_class_of, order="deterministic").encode

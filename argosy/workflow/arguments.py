"""What a step is given: a copy, so that nothing it changes comes back to the workflow, and a digest of it.

Rules:
- The copy has the types of the original: pickle keeps them, and marshal would make bytes of a bytearray or an array.
- What cannot be copied (a client, a lock, a lambda) is shared with the step: whoever passes such a thing keeps it
  unchanged. The lists and dicts that hold it are copied.
- The digest is the same in every process for arguments that are equal as JSON; of an object that has no JSON only its
  class counts. A replay compares it with what was recorded.
"""

import pickle
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

_IMMUTABLE: Final = frozenset({str, int, float, bool, bytes, complex, type(None)})
_FLAT: Final = (dict, list)
_NOTHING: Final[Mapping[str, Any]] = {}


def copied(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Copies of both."""
    return tuple(map(_copied, args)), {name: _copied(each) for name, each in kwargs.items()} if kwargs else {}


def digest(args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NOTHING) -> str:
    """Eight hexadecimal digits; empty without arguments, and for what cannot be written down."""
    if not args and not kwargs:
        return ""
    try:
        return f"{zlib.crc32(_encode((args, kwargs) if kwargs else args)):08x}"
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError):
        return ""


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    try:
        if _is_flat(kind, value):  # as pickle copies it, in a fifth of the time
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
    """around: copies of what holds this, by the ids of the originals."""
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    with suppress(Exception):  # whatever the object's class does when it is asked
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


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_encode: Final = msgspec.json.Encoder(enc_hook=_kind, order="deterministic").encode

"""Copies of a step's arguments, so that what the step changes does not come back to the workflow, and a digest of them.

Rules:
- The copy has the types of the original: pickle keeps them, whereas marshal would turn a bytearray or an array into
  bytes.
- The step shares what cannot be copied (a client, a lock, a lambda) with the workflow, which must not change it. The
  lists, tuples and dicts that hold such an object are copied.
- Arguments that are equal as JSON have the same digest in every process. An object that has no JSON counts with its
  class only. A replay compares the digest with the recorded one.
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
    """Return copies of the positional and of the keyword arguments."""
    return tuple(map(_copied, args)), {name: _copied(each) for name, each in kwargs.items()} if kwargs else {}


def digest(args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NOTHING) -> str:
    """Return eight hexadecimal digits; empty when there are no arguments or they cannot be encoded."""
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


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_encode: Final = msgspec.json.Encoder(enc_hook=_kind, order="deterministic").encode

"""Checks that bytes are JSON that every process of Argosy can decode, whatever program wrote them."""

from typing import Any, Final

import msgspec

# Decoding recurses, and workers decode with a deeper stack than gateways: this is far below the limit in both.
NESTING_MAX: Final = 100

_decode = msgspec.json.Decoder().decode
_CONTAINERS: Final = (dict, list)


def is_sound(raw: bytes) -> bool:
    """Whether every reader can decode these bytes: they are JSON in UTF-8 without lone surrogates, NaN, Infinity and
    numbers that no double holds, and nested no deeper than NESTING_MAX.
    """
    try:
        return not is_too_deep(raw, _decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def is_too_deep(raw: bytes, value: Any) -> bool:
    """Whether JSON is nested deeper than NESTING_MAX. value: raw, decoded."""
    has_room = type(value) in _CONTAINERS and raw.count(b"[") + raw.count(b"{") > NESTING_MAX
    return has_room and is_deeper(value, NESTING_MAX)


def is_deeper(value: Any, depth_max: int) -> bool:
    """Whether containers are nested more than depth_max deep. It goes level by level instead of recursing."""
    level = [value]
    for _ in range(depth_max):
        below: list[Any] = []
        for container in level:
            items = container.values() if type(container) is dict else container
            below.extend(item for item in items if type(item) in _CONTAINERS)
        if not below:
            return False
        level = below
    return True

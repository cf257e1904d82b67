"""JSON whose reader and writer cannot disagree: an object without a member that stands twice, finite numbers only.

Of two members with one name some readers take the first and some the last, so that a token would say one thing to who
signed it and another one here.
"""

import json
import math
from typing import Any


class NotStrictError(ValueError):
    """The text is no JSON object, or not a strict one."""


def object_of(raw: bytes) -> dict[str, Any]:
    """Return the members of a JSON object in UTF-8. Raises NotStrictError."""
    try:
        decoded = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotStrictError(str(error)) from None
    if not isinstance(decoded, dict):
        raise NotStrictError("it is no object")
    return decoded


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictError("a member stands twice")
    return members


def _no_constant(word: str) -> float:
    raise NotStrictError(f"{word} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrictError("a number is out of range")
    return number

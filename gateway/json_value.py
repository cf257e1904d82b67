"""JSON that clients send to be stored: checked once, here, so that every later reader can trust it.

A value is stored as the bytes that came; the canonical form serves only to compare two values.
"""

from typing import Any

import msgspec

from argosy.gateway.problems import Problem
from argosy.json_text import NESTING_MAX, is_too_deep

_decoder = msgspec.json.Decoder()
_canonical = msgspec.json.Encoder(order="sorted")


def check(raw: bytes, size_bytes_max: int, what: str) -> Any:
    """Return the decoded value. what: what the detail of a problem calls it.

    Raises Problem when raw is over its bound, no JSON, not UTF-8 or nested deeper than NESTING_MAX, or when it has a
    lone surrogate, NaN, Infinity or a number that no double holds.
    """
    if len(raw) > size_bytes_max:
        raise Problem("payload_too_large", f"{what} has {len(raw)} bytes, the bound is {size_bytes_max}")
    value = decode(raw, _decoder, what, "invalid_json")
    if is_too_deep(raw, value):
        raise Problem("invalid_json", f"{what} is nested deeper than {NESTING_MAX}")
    return value


def decode(raw: bytes, decoder: msgspec.json.Decoder[Any], what: str, misfit_code: str = "invalid_request") -> Any:
    """Return what decoder makes of raw.

    Raises Problem: invalid_json when raw is no JSON, misfit_code when it is JSON that does not fit the decoder's type.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Problem(misfit_code, f"{what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("invalid_json", f"{what}: {error}") from None
    except RecursionError:
        raise Problem("invalid_json", f"{what} is nested too deep") from None


def canonical(value: Any) -> bytes:
    """Return the one form that all equal values have: keys sorted, no spaces."""
    return _canonical.encode(value)

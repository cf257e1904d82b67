"""JSON that clients send to be stored: checked once, here, so that every later reader can trust it.

A value is stored as the bytes that came; the canonical form is only compared.
"""

from typing import Any

import msgspec

from argosy.gateway.problems import Problem
from argosy.json_text import NESTING_MAX, is_too_deep

_decoder = msgspec.json.Decoder()
_canonical = msgspec.json.Encoder(order="sorted")


def check(raw: bytes, size_bytes_max: int, what: str) -> Any:
    """The decoded value. Refused: what is over its bound, no JSON, not UTF-8, a lone surrogate, NaN, Infinity, a number
    that no double holds, or nested deeper than NESTING_MAX. Raises Problem.
    """
    if len(raw) > size_bytes_max:
        raise Problem("payload_too_large", f"{what} has {len(raw)} bytes, the bound is {size_bytes_max}")
    value = decode(raw, _decoder, what, "invalid_json")
    if is_too_deep(raw, value):
        raise Problem("invalid_json", f"{what} is nested deeper than {NESTING_MAX}")
    return value


def decode(raw: bytes, decoder: msgspec.json.Decoder[Any], what: str, misfit_code: str = "invalid_request") -> Any:
    """What decoder makes of raw. Raises Problem: invalid_json when it is none, misfit_code when it does not fit."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Problem(misfit_code, f"{what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("invalid_json", f"{what}: {error}") from None
    except RecursionError:
        raise Problem("invalid_json", f"{what} is nested deeper than {NESTING_MAX}") from None


def canonical(value: Any) -> bytes:
    """The one form of equal values: keys sorted, no spaces."""
    return _canonical.encode(value)

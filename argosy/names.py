"""Rules for the names of tenants, sessions, signals and workflows, for tags and for idempotency keys.

Gateways refuse requests that break a rule. Workers apply the same rules to records of the log, which other producers
may have written, and make a dead letter of a record that breaks one.
"""

import re
from functools import lru_cache
from typing import Final

NAME_SIZE_BYTES_MAX: Final = 256  # an index of Postgres takes rows of 2,704 bytes: a few such names
WORKFLOW_LENGTH_MAX: Final = 200
TAGS_MAX: Final = 16
TAG_LENGTH_MAX: Final = 64
NOT_BEFORE_MS_MAX: Final = 366 * 86_400_000  # after the time at which the turn is posted
DEADLINE_S_MAX: Final = 366 * 86_400  # a year, as for NOT_BEFORE_MS_MAX

TAG_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Anchored, because the OpenAPI document has these patterns, too, where a pattern matches anywhere.
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
KEY_PATTERN: Final = r"^[\x21-\x7e]{1,256}$"
TENANT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
VANISHING: Final = frozenset({".", ".."})
_KEY = re.compile(KEY_PATTERN)
_TENANT = re.compile(TENANT_PATTERN)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def fault_of_name(name: str) -> str:
    """Return what is wrong with the name of a session or a signal, as the end of a sentence "a name …"; empty when it
    is valid. A name has 1..256 bytes of UTF-8 without control characters; "." and ".." would be removed from a URL's
    path.
    """
    if name.isascii() and name.isprintable() and 1 <= len(name) <= NAME_SIZE_BYTES_MAX and name not in VANISHING:
        return ""  # the fast way, for most names
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "must be valid Unicode: it has a lone surrogate"
    if not 1 <= size <= NAME_SIZE_BYTES_MAX:
        return f"has 1 to {NAME_SIZE_BYTES_MAX} bytes, this one has {size}"
    if _CONTROL.search(name):
        return "must not have control characters"
    if name in VANISHING:
        return f"must not be {name!r}: no URL can hold it"
    return ""


@lru_cache(maxsize=4_096)
def is_tenant(name: str) -> bool:
    """Whether this is a valid tenant: letters, digits, dots, underscores and dashes, at most 63, a letter or digit
    first.
    """
    return _TENANT.fullmatch(name) is not None


def is_key(key: str) -> bool:
    """Whether this is a valid idempotency key: 1..256 visible ASCII characters."""
    return _KEY.fullmatch(key) is not None


def traceparent(value: bytes | None) -> bytes | None:
    """Return the value of a `traceparent` header, or None when it is no valid one and must not be passed on."""
    return value if value and _TRACEPARENT.fullmatch(value) else None

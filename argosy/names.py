"""What names may be: of tenants, sessions, signals and workflows, and idempotency keys. One rule for the edge, which
refuses what does not keep it, and for workers, which keep such records aside: whatever may stand in a log.
"""

import re
from functools import lru_cache
from typing import Final

NAME_SIZE_BYTES_MAX: Final = 256
WORKFLOW_LENGTH_MAX: Final = 200
TAGS_MAX: Final = 16
TAG_LENGTH_MAX: Final = 64
NOT_BEFORE_MS_MAX: Final = 366 * 86_400_000  # ahead of when it is posted
DEADLINE_S_MAX: Final = 366 * 86_400

TAG_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Anchored, as the OpenAPI document has them, too.
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
KEY_PATTERN: Final = r"^[\x21-\x7e]{1,256}$"
TENANT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_VANISHING: Final = frozenset({".", ".."})
_KEY = re.compile(KEY_PATTERN)
_TENANT = re.compile(TENANT_PATTERN)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def fault_of_name(name: str) -> str:
    """What is wrong with the name of a session or a signal, as in "a name …"; empty when nothing is. 1..256 bytes of
    UTF-8 without control characters; "." and ".." would vanish from a URL on the way.
    """
    if name.isascii() and name.isprintable() and 1 <= len(name) <= NAME_SIZE_BYTES_MAX and name not in _VANISHING:
        return ""  # of most names, at once
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "must be valid Unicode: it has a lone surrogate"
    if not 1 <= size <= NAME_SIZE_BYTES_MAX:
        return f"has 1 to {NAME_SIZE_BYTES_MAX} bytes, this one has {size}"
    if _CONTROL.search(name):
        return "must not have control characters"
    if name in _VANISHING:
        return f"must not be {name!r}: no URL can hold it"
    return ""


@lru_cache(maxsize=4_096)
def is_tenant(name: str) -> bool:
    """Letters, digits, dot, underscore and dash, 63 at the most."""
    return _TENANT.fullmatch(name) is not None


def is_key(key: str) -> bool:
    """An idempotency key: 1..256 visible ASCII characters."""
    return _KEY.fullmatch(key) is not None


def traceparent(value: bytes | None) -> bytes | None:
    """The trace context to pass on; None when it is not one."""
    return value if value and _TRACEPARENT.fullmatch(value) else None

"""Checks of emits: what one emit may hold, whether anybody may see it or not, and that none is made inside another.

Each check raises WorkflowError; EncodingError when a value cannot be JSON.
"""

import threading
from typing import Any, Final

from argosy.errors import WorkflowError
from argosy.workflow import payload

NAME_CHARACTERS_MAX: Final = 64  # every frame has the name
_ANY_SIZE: Final = 1 << 62  # the bounds of channels hold for it instead


def check_name(name: Any) -> str:
    """Return a channel's name as a plain str, also when it is of a subclass, such as a string enumeration."""
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise WorkflowError(
            f"a channel's name is a string of 1 to {NAME_CHARACTERS_MAX} printable characters, not {name!r:.80}"
        )
    return name if name.__class__ is str else str.__str__(name)


def size_bytes_of(text: str) -> int:
    """Return the size of the text in UTF-8."""
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise WorkflowError("the text of emit has a lone surrogate, which is no valid Unicode") from None


def json_of(value: Any) -> bytes:
    return payload.encode(value, _ANY_SIZE, "the json of emit")[0]


def patch_of(operations: Any) -> tuple[bytes, list[Any]]:
    """Return the JSON of a list of operations (RFC 6902), and the list decoded from it."""
    encoded, decoded = payload.encode(operations, _ANY_SIZE, "the patch of emit")
    if not isinstance(decoded, list):
        raise WorkflowError("the patch of emit is a list of operations (RFC 6902)")
    return encoded, decoded


def make_lock() -> Any:
    """Return a lock for what emits change.

    A thread that holds such a lock may call `emit` once more: at any allocation the garbage collector may run what
    users' code left to be finalized, such as a generator that emits in its `finally`. With a plain lock the thread
    would wait for itself, and other threads for it.
    """
    return threading.RLock()


def check_not_held(lock: Any) -> None:
    """Raise WorkflowError when this thread holds the lock already."""
    if lock._is_owned():  # threading.Condition uses this method, too
        raise WorkflowError("emit() was called by a finalizer, in the middle of another use of what is emitted")

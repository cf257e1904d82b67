"""What one emit may hold, whoever sees it. Pure; each raises WorkflowError, EncodingError for what is no JSON."""

from typing import Any, Final

from argosy.errors import WorkflowError
from argosy.workflow import payload

NAME_CHARACTERS_MAX: Final = 64
_ANY_SIZE: Final = 1 << 62


def check_name(name: Any) -> str:
    """The name, of an enumeration or whatever else is a string, too."""
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise WorkflowError(
            f"a channel's name is a string of 1 to {NAME_CHARACTERS_MAX} printable characters, not {name!r:.80}"
        )
    return name if name.__class__ is str else str.__str__(name)


def size_bytes_of(text: str) -> int:
    """In UTF-8."""
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise WorkflowError("the text of emit has a lone surrogate, which is no valid Unicode") from None


def json_of(value: Any) -> bytes:
    return payload.encode(value, _ANY_SIZE, "the json of emit")[0]


def patch_of(operations: Any) -> tuple[bytes, list[Any]]:
    """A list of operations (RFC 6902): its JSON, and as that is read."""
    encoded, decoded = payload.encode(operations, _ANY_SIZE, "the patch of emit")
    if not isinstance(decoded, list):
        raise WorkflowError("the patch of emit is a list of operations (RFC 6902)")
    return encoded, decoded

"""Names of steps, workflows and signals, and the characters that they may have.

Names are part of a turn's history, so the rules must not change. A step's key is its name and #n, the waits between its
tries have ~n, and waits for signals begin with `signal:`; none of these may be in a name.
"""

import re
from typing import Any, Final

from argosy.errors import WorkflowError

_NAME: Final = re.compile(r"[^\W\d][\w.\-]{0,127}")
_RESERVED: Final = frozenset({"sleep", "now", "uuid"})  # the keys of ctx.sleep, ctx.now and ctx.uuid
_SIGNAL_SIZE_BYTES_MAX: Final = 256
_NOT_IN_SIGNAL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f#~]")


def check_name(kind: str, function: Any, name: str | None) -> str:
    """Return the name given, or else the function's own. Raises WorkflowError when it is not valid."""
    found = getattr(function, "__name__", None) if name is None else name
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        shown = found if name is not None or found is not None else function
        raise WorkflowError(
            f"{kind} {shown!r}: a name begins with a letter and has letters, digits, '_', '-' and '.', "
            f'128 at the most; say one with @{kind}(name="...")'
        )
    if kind == "step" and found in _RESERVED:
        raise WorkflowError(f'step {found!r}: this name belongs to ctx.{found}(); say another with @step(name="...")')
    return found


def check_signal_name(name: Any) -> str:
    """Return a signal's name: 1 to 256 bytes without control characters, # and ~. Raises WorkflowError for another."""
    try:
        is_good = 1 <= len(name.encode()) <= _SIGNAL_SIZE_BYTES_MAX and not _NOT_IN_SIGNAL.search(name)
    except (AttributeError, UnicodeEncodeError):
        is_good = False
    if not is_good:
        raise WorkflowError(
            f"a signal's name has 1 to 256 bytes without control characters, '#' and '~', not {name!r:.80}"
        )
    return str(name)

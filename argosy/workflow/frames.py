"""Where an error of user code came from, as text for the engineer who has to mend it.

The innermost frames come first, without Argosy's own; then comes what caused the error.

    KeyError: 'id'
      at /srv/my.py:14 in load: return row["id"]
    caused by ConnectionError: refused
      at /srv/db.py:3 in fetch: raise ConnectionError("refused")

Rules:
- No values of variables: they may be secrets. Source lines come from the files as they are now.
- Whatever the error does when it is read (a `__str__` that raises, causes that form a circle, thousands of frames), the
  result is a text of at most SIZE_BYTES_MAX.
- The error of a step is told as it was recorded, so that a replay tells the same; nothing is told of a private step.
"""

import contextlib
import linecache
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final

from argosy.errors import StepFailedError

# The bound of a message, too: with both an event of an error stays below 5 KB, and a thousand of them below a flush.
SIZE_BYTES_MAX: Final = 2_048

# What an error may have of each, so that what matters of all of it fits into SIZE_BYTES_MAX.
_FRAMES_MAX: Final = 16
_CAUSES_MAX: Final = 8
_MEMBERS_MAX: Final = 8
_LINE_CHARACTERS_MAX: Final = 160
_WORDS_CHARACTERS_MAX: Final = 400
_CUT: Final = "\n…"

_HOUSE: Final = tuple(f"{path.parents[1]}/" for path in {Path(__file__), Path(__file__).resolve()})
_WORKFLOWS: Final = tuple(f"{folder}workflows/" for folder in _HOUSE)  # these ship with Argosy, but count as user code


def traceback_of(error: BaseException) -> str:
    """Return the text described above; empty when reading the error fails. Never raises."""
    try:
        return clipped("\n".join(_lines(error, set(), "")), SIZE_BYTES_MAX)
    except BaseException:  # an error that cannot even be read must not fail the turn
        return ""


def words_of(error: BaseException) -> str:
    """Return an error's message as valid Unicode. Never raises."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except BaseException as broken:
        return f"(its __str__ raised {type(broken).__name__})"


def kind_of(error: BaseException) -> str:
    """Return the name of the error's class."""
    return type(error).__name__


def clipped(text: str, size_bytes_max: int) -> str:
    """Return the text, cut to a size at its end, as valid Unicode."""
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= size_bytes_max:
        return encoded.decode()
    return encoded[: size_bytes_max - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _lines(error: BaseException, seen: set[int], indent: str) -> Iterator[str]:
    """Yield the lines of the error and of what caused it. seen: the ids of errors that have their lines already."""
    current: BaseException | None = error
    how = ""
    while current is not None and id(current) not in seen and len(seen) < _CAUSES_MAX * _MEMBERS_MAX:
        seen.add(id(current))
        if isinstance(current, StepFailedError) and current.is_private:
            yield f"{indent}{how}a private step failed"
            return
        yield f"{indent}{how}{_head(current)}"
        for line in _frames(current):
            yield f"{indent}  at {line}"
        if isinstance(current, StepFailedError):
            for line in current.traceback.splitlines():
                yield f"{indent}  {line}"
            return
        if isinstance(current, BaseExceptionGroup):
            members = current.exceptions
            for number, member in enumerate(islice(members, _MEMBERS_MAX), 1):
                yield f"{indent}  {number} of {len(members)}:"
                yield from _lines(member, seen, f"{indent}    ")
        if current.__cause__ is not None:
            current, how = current.__cause__, "caused by "
        else:
            current, how = (None if current.__suppress_context__ else current.__context__), "while handling "


def _head(error: BaseException) -> str:
    words = words_of(error)
    if len(words) > _WORDS_CHARACTERS_MAX:  # the traceback of another process ends with what matters
        half = _WORDS_CHARACTERS_MAX // 2
        words = f"{words[:half]} … {words[-half:]}"
    return f"{kind_of(error)}: {words}" if words else kind_of(error)


def _frames(error: BaseException) -> Iterator[str]:
    """Yield the innermost frames of user code, the innermost first."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        text = error.text if isinstance(error.text, str) else ""
        yield f"{error.filename}:{error.lineno}: {text.strip()[:_LINE_CHARACTERS_MAX]}"
    found: deque[TracebackType] = deque(maxlen=_FRAMES_MAX)
    left_out = 0
    step = error.__traceback__
    while step is not None:
        if not _is_ours(step.tb_frame.f_code.co_filename):
            left_out += len(found) == _FRAMES_MAX
            found.append(step)
        step = step.tb_next
    for each in reversed(found):
        code = each.tb_frame.f_code
        source = ""
        with contextlib.suppress(Exception):  # a module loader of the user's may raise anything
            source = linecache.getline(code.co_filename, each.tb_lineno, each.tb_frame.f_globals).strip()
        line = f"{code.co_filename}:{each.tb_lineno} in {code.co_name}"
        yield f"{line}: {source[:_LINE_CHARACTERS_MAX]}" if source else line
    if left_out:
        yield f"… {left_out} more"


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HOUSE) and not filename.startswith(_WORKFLOWS)

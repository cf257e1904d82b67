"""Reads and parses a file, and finds its comments that suppress findings (`# argosy: ok`).

Promise: whatever is wrong with a file raises a WorkflowError with one line; nothing of the file is run.
"""

import ast
import io
import re
import tokenize
import warnings
from pathlib import Path
from typing import Final, NamedTuple

from argosy.errors import WorkflowError

_OK: Final = re.compile(r"#\s*argosy:\s*ok(?:\[([^\]]*)\])?(?!\S)")


class Source(NamedTuple):
    """A parsed file. path: resolved; shown: the path as messages show it. suppressed: the codes that a line suppresses,
    by line; an empty set stands for all codes.
    """

    path: Path
    shown: str
    tree: ast.Module
    lines: list[str]
    suppressed: dict[int, frozenset[str]]

    def is_suppressed(self, line: int, code: str) -> bool:
        codes = self.suppressed.get(line)
        return codes is not None and (not codes or code in codes)

    def column(self, line: int, offset: int) -> int:
        """Return a column counted in characters from 1. offset: ast's, which counts bytes of UTF-8 from 0."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text.encode()[:offset].decode(errors="ignore")) + 1


def read(path: Path, shown: str) -> Source:
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding, newline=None).read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, shown)
            compile(text, shown, "exec", dont_inherit=True)  # finds errors that the grammar alone does not
    except SyntaxError as error:
        where = f" ({shown}:{error.lineno})" if error.lineno else ""
        raise WorkflowError(f"SyntaxError: {error.msg}{where}") from error
    except UnicodeDecodeError as error:
        raise WorkflowError(f"it is not text in {error.encoding}: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise WorkflowError(f"it cannot be read: {error.strerror or error}") from error
    except (RecursionError, MemoryError) as error:
        raise WorkflowError("it is nested too deeply to be parsed") from error
    except ValueError as error:  # a null byte
        raise WorkflowError(f"it is no Python: {error}") from error
    return Source(path, shown, tree, text.split("\n"), _suppressed(text))


def _suppressed(text: str) -> dict[int, frozenset[str]]:
    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and (mark := _OK.search(token.string)):
                found[token.start[0]] = frozenset(filter(None, re.split(r"[,\s]+", mark[1] or "")))
    except (tokenize.TokenError, SyntaxError):  # Python's parser accepted the text: keep what was found so far
        pass
    return found

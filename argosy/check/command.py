"""`argosy check` in a terminal: findings and a summary on stdout, files that could not be read on stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path

from argosy.check.checker import check
from argosy.check.shown import exit_code, json_of, lines_of
from argosy.printable import printable


def check_files(entries: Sequence[str], *, is_json: bool) -> int:
    """Check files and print the report; return the exit code."""
    report = check(entries, Path.cwd())
    for line in [json_of(report)] if is_json else lines_of(report):
        sys.stdout.write(f"{line}\n")
    said = list(report.unreadable)
    if not report.workflows and not said:
        said.append(f"no workflow found in {', '.join(entries)}: nothing there is decorated with argosy.workflow")
    sys.stdout.flush()
    for line in said:
        sys.stderr.write(f"argosy: {printable(line)}\n")
    return exit_code(report)

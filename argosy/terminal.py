"""A command in somebody's terminal: how its output is written, and how it ends."""

import contextlib
import io
import os
import sys
from collections.abc import Callable

from argosy.errors import ArgosyError
from argosy.extras import needed
from argosy.printable import printable


def run_command(command: Callable[[], object]) -> int | str | None:
    """Run the command and write out what it says; return the exit code.

    What the user can mend is one line on stderr and exit code 1. A terminal that is not UTF-8 shows what it can.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code: int | str | None = 0
    try:
        try:
            with needed():
                command()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()  # whoever read it has enough
        return 1
    except (ArgosyError, OSError) as error:  # a folder that cannot be used is the user's to mend, too
        if isinstance(error, OSError):
            _let_go_of_stdout()  # it may be what is full
        sys.stderr.write(f"argosy: {printable(str(error))}\n")
        return 1
    return code


def _let_go_of_stdout() -> None:
    """Send what is still to be written nowhere: the interpreter would try again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

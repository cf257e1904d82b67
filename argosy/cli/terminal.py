"""Running a command in the user's terminal: how it writes its output, and how it ends."""

import contextlib
import io
import os
import sys
from collections.abc import Callable

from argosy.errors import ArgosyError
from argosy.extras import needed
from argosy.printable import printable


def run_command(command: Callable[[], object]) -> int | str | None:
    """Run the command, write out what it has printed, and return the exit code.

    An error that the user can correct is one line on stderr, with exit code 1. Characters that the terminal's encoding
    does not have are printed as escapes.
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
        _let_go_of_stdout()  # the reader of the pipe has closed it
        return 1
    except (ArgosyError, OSError) as error:  # OSError: the user can correct a folder that cannot be used, too
        if isinstance(error, OSError):
            _let_go_of_stdout()  # stdout itself may be on a full disk
        sys.stderr.write(f"argosy: {printable(str(error))}\n")
        return 1
    return code


def _let_go_of_stdout() -> None:
    """Point stdout at /dev/null: at its end the interpreter would try again to write what is still buffered."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

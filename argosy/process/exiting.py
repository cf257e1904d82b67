"""os._exit that first flushes what was printed."""

import contextlib
import os
import sys
from typing import NoReturn


def end_now(code: int) -> NoReturn:
    """End this process at once, without running exit handlers or waiting for threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # there is nowhere left to report an error
            stream.flush()
    os._exit(code)

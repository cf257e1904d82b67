"""os._exit, with what was printed before."""

import contextlib
import os
import sys
from typing import NoReturn


def end_now(code: int) -> NoReturn:
    """End this process at once: no exit handler runs, nobody is waited for."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # nobody is left to hear of it
            stream.flush()
    os._exit(code)

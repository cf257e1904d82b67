"""A dispatch worker in the process tree of a gateway."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argosy.config import Settings
from argosy.process.child import Child

_STOP_S: Final = 40.0


@contextmanager
def inline_worker(settings: Settings) -> Iterator[None]:
    """A worker as a child, when AGENT_DISPATCH_BACKEND=inline; it drains when the gateway has ended."""
    if settings.agent_dispatch_backend != "inline":
        yield
        return
    child = Child.start("worker", [sys.executable, "-m", "argosy", "worker", "dispatch"])
    try:
        yield
    finally:
        child.stop(_STOP_S)

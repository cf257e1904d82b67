"""The locks of what emits change.

A thread that holds one may come to `emit` once more: the garbage collector runs what users' code has left to be
finalized (a generator that emits in its `finally`) at whatever allocation. It would wait for itself, and others for it.
"""

import threading
from typing import Any

from argosy.errors import WorkflowError


def make_lock() -> Any:
    return threading.RLock()


def check_not_held(lock: Any) -> None:
    """Raises WorkflowError when this very thread holds it."""
    if lock._is_owned():  # as threading.Condition asks
        raise WorkflowError("emit() was called by a finalizer, in the middle of another use of what is emitted")

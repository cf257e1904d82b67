"""The locks of what emits change.

A thread that holds such a lock may call `emit` once more: at any allocation the garbage collector may run what users'
code left to be finalized, such as a generator that emits in its `finally`. With a plain lock the thread would wait for
itself, and other threads for it.
"""

import threading
from typing import Any

from argosy.errors import WorkflowError


def make_lock() -> Any:
    return threading.RLock()


def check_not_held(lock: Any) -> None:
    """Raise WorkflowError when this thread holds the lock already."""
    if lock._is_owned():  # threading.Condition uses this method, too
        raise WorkflowError("emit() was called by a finalizer, in the middle of another use of what is emitted")

"""Give the cancel scopes of anyio a fixed order under a turn's loop.

anyio keeps the scopes nested in a scope in a set, so a cancelled scope cancels them in the order of their memory
addresses. In a replay the branches would begin their clean-up in another order, and the tasks that they make then would
have other numbers and other keys. Here the nested scopes are cancelled in the order in which they began.

This module imports anyio itself, at start. If it waited until a workflow imports anyio, the scopes of the first such
workflow would have no order. Without anyio it does nothing.
"""

import importlib
from asyncio.events import _get_running_loop
from typing import Any

from argosy.workflow.turn_loop import TurnLoop

_is_installed = False


class _Ordered(dict[Any, None]):
    """A dict with as much of a set's interface as anyio's scopes use."""

    def add(self, scope: Any) -> None:
        self[scope] = None

    def discard(self, scope: Any) -> None:
        self.pop(scope, None)

    def remove(self, scope: Any) -> None:
        del self[scope]


def install() -> None:
    """Patch anyio's CancelScope; a second call does nothing."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    try:
        scope: Any = importlib.import_module("anyio._backends._asyncio").CancelScope
    except (ImportError, AttributeError):  # no anyio, or a version that keeps the class elsewhere
        return
    plain = scope.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        plain(self, *args, **options)
        if isinstance(_get_running_loop(), TurnLoop) and hasattr(self, "_child_scopes"):
            self._child_scopes = _Ordered()

    scope.__init__ = init

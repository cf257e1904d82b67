"""anyio's cancel scopes under a turn's loop: those within one that is cancelled hear of it in the order of their begin.

anyio keeps them in a set, in the order of memory addresses: branches that clean up would begin in another order in a
replay, and the tasks that they make then would have other numbers, and other keys. It is imported here, and not when a
workflow does: the scopes of the first one that did would have no order. Where there is no anyio this does nothing.
"""

import importlib
from asyncio.events import _get_running_loop
from typing import Any

from argosy.workflow.turn_loop import TurnLoop

_is_installed = False


class _Ordered(dict[Any, None]):
    """As much of a set as a scope uses."""

    def add(self, scope: Any) -> None:
        self[scope] = None

    def discard(self, scope: Any) -> None:
        self.pop(scope, None)

    def remove(self, scope: Any) -> None:
        del self[scope]


def install() -> None:
    """From here on anyio has these. Called once more it does nothing."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    try:
        scope: Any = importlib.import_module("anyio._backends._asyncio").CancelScope
    except (ImportError, AttributeError):  # a version that has it elsewhere
        return
    plain = scope.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        plain(self, *args, **options)
        if isinstance(_get_running_loop(), TurnLoop) and hasattr(self, "_child_scopes"):
            self._child_scopes = _Ordered()

    scope.__init__ = init

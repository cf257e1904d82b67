"""Which versions of Argosy, of Python and of what Argosy needs are installed here."""

import platform
import re
from importlib import metadata
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def versions() -> dict[str, Any]:
    """Return them by name; None for a dependency that is not installed."""
    names = {found[0] for need in metadata.requires("argosy") or () if (found := _NAME.match(need))}
    return {
        "argosy": metadata.version("argosy"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "dependencies": {name: _version(name) for name in sorted(names - {"argosy"})},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

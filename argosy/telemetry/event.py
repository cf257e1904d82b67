"""How a log event is declared: once, with what docs/metrics.md says of it."""

from typing import Final

EVENTS: Final[dict[str, str]] = {}  # name → meaning, in the order in which they are declared


def event(name: str, meaning: str) -> str:
    """Return the name of a log event, which log lines have as `event`."""
    EVENTS[name] = meaning
    return name

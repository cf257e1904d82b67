"""In place of the dispatcher, for a part that stands alone."""

from collections.abc import Callable
from typing import Any

from argosy.config import Settings, load


class Said:
    """Keeps what a part says, in its order: the name of each call of `after_…`, and what was handed to it."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("after_"):
            raise AttributeError(name)
        return lambda fact=None, *more: self.all.append((name, (fact, *more) if more else fact))

    def of(self, name: str) -> list[Any]:
        """What was handed to the calls of this name."""
        return [fact for each, fact in self.all if each == name]


def settings_of(**known: object) -> Settings:
    """The default settings but for these, which may lie beyond their bounds."""
    return load({}).model_copy(update=known)

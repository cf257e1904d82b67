"""What a part tells the rest of a worker."""

from collections.abc import Callable
from typing import Any


class Said:
    """In place of the dispatcher: keeps each call of a part, its name and its argument, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        return lambda fact: self.all.append((name, fact))

    def of(self, name: str) -> list[Any]:
        return [fact for each, fact in self.all if each == name]

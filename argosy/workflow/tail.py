"""The end of the text that a try of a step filled last, to which nearly every emit appends one more token."""

from collections.abc import Callable
from typing import Protocol


class Followed(Protocol):
    """Channels, as a tail needs them. listener: called after every change; None: nothing follows the turn."""

    @property
    def listener(self) -> Callable[[], None] | None: ...


class Filler(Protocol):
    """A try of a step, as a tail needs it.

    is_over: set before the step's channels are taken or cleared. tail: the end of the text that the try filled last,
    while the try may append there without the lock.
    """

    @property
    def step_key(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def is_over(self) -> bool: ...

    tail: "Tail | None"


class Tail:
    """The end of a text. Its filler may append `left` more tokens there, without a lock and without checking a bound.

    Each token has up to TOKEN_CHARACTERS_MAX characters of ASCII. channels: count the tokens later, and tell followers;
    None: no Channels were needed yet, and the tokens are the whole text. Channels drop the tail when anything else is
    emitted, or when the turn has a new event.
    """

    __slots__ = ("channels", "filler", "left", "name", "tokens")

    def __init__(
        self, filler: Filler, name: str, tokens: list[str], left: int, channels: Followed | None = None
    ) -> None:
        self.filler = filler
        self.name = name
        self.tokens = tokens
        self.left = left
        self.channels = channels
        filler.tail = self

    def drop(self) -> None:
        """Take the tail from its filler, whose next emit goes through Channels."""
        self.filler.tail = None


def over(step: str) -> str:
    """Return the message for an emit of a try that is over."""
    return f"this try of step {step!r} is over: it emits no more"

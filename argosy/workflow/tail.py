"""The end of the text that a try of a step has filled last: where nearly every emit, one more token, goes."""

from collections.abc import Callable
from typing import Protocol


class Watched(Protocol):
    """Channels. listener: who hears of every change; None: nobody watches."""

    @property
    def listener(self) -> Callable[[], None] | None: ...


class Owner(Protocol):
    """A try of a step. is_over: set before its step's channels are taken, or cleared. tail: where it has filled a text
    last, while it may go on there.
    """

    @property
    def step_key(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def is_over(self) -> bool: ...

    tail: "Tail | None"


class Tail:
    """Asks for no lock and no bound: its owner may add `left` tokens of up to TOKEN_CHARACTERS_MAX characters of ASCII.

    channels: they count what was added, and tell who watches; None: nobody needed them yet, and the tokens are the
    whole text. Channels drop it when anything else is filled, or the turn has a new event.
    """

    __slots__ = ("channels", "left", "name", "owner", "tokens")

    def __init__(self, owner: Owner, name: str, tokens: list[str], left: int, channels: Watched | None = None) -> None:
        self.owner = owner
        self.name = name
        self.tokens = tokens
        self.left = left
        self.channels = channels
        owner.tail = self

    def drop(self) -> None:
        """Its owner has to ask before it goes on."""
        self.owner.tail = None


def over(step: str) -> str:
    """Why a try fills nothing any more."""
    return f"this try of step {step!r} is over: it emits no more"

"""The end of the text that a try of a step has filled last: where nearly every emit, one more token, goes."""

from collections.abc import Callable
from typing import Protocol


class Numbered(Protocol):
    """A turn. seq: its newest event, durable or not."""

    @property
    def seq(self) -> int: ...


class Watched(Protocol):
    """Channels. listener: who hears of every change; None: nobody watches."""

    @property
    def listener(self) -> Callable[[], None] | None: ...


class Owner(Protocol):
    """A try of a step. tail: where it has filled a text last, while it may go on there."""

    @property
    def step_key(self) -> str: ...
    @property
    def number(self) -> int: ...

    tail: "Tail | None"


class Tail:
    """Asks for no lock and no bound: its owner may add `left` tokens of up to TOKEN_CHARACTERS_MAX characters of ASCII
    while nothing else is filled and the turn (numbered) has no event newer than `seq`.

    channels: they count what was added, and tell who watches; None: nobody needed them yet, and the tokens are the
    whole text.
    """

    __slots__ = ("channels", "left", "name", "numbered", "owner", "seq", "tokens")

    def __init__(
        self,
        owner: Owner,
        name: str,
        tokens: list[str],
        left: int,
        numbered: Numbered,
        seq: int,
        channels: Watched | None = None,
    ) -> None:
        self.owner = owner
        self.name = name
        self.tokens = tokens
        self.left = left
        self.numbered = numbered
        self.seq = seq
        self.channels = channels
        owner.tail = self

    def drop(self) -> None:
        """Its owner has to ask before it goes on."""
        if self.owner.tail is self:
            self.owner.tail = None

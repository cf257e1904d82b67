"""The end of the text that a try of a step has filled last: where nearly every emit, one more token, goes."""

from collections.abc import Callable
from typing import Protocol

import msgspec


class Numbered(Protocol):
    """A turn. seq: its newest event, durable or not."""

    @property
    def seq(self) -> int: ...


class Watched(Protocol):
    """Channels. listener: who hears of every change; None: nobody watches."""

    @property
    def listener(self) -> Callable[[], None] | None: ...


class Tail(msgspec.Struct, eq=False):
    """Asks for no lock and no bound: `room` characters of ASCII may still be added to `tokens`, while nothing else is
    filled and the turn has no event newer than `seq`.

    owner: the try that may. channels: they count what was added, and tell who watches; None: nobody needed them yet,
    and the tokens are the whole text.
    """

    owner: object
    step: str
    tries: int
    name: str
    tokens: list[str]
    room: int
    seq: int
    numbered: Numbered
    channels: Watched | None = None

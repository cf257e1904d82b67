"""The questions that asyncpg asks about each element of an array, without a Python frame for each.

To find out whether an element is an array itself, asyncpg asks two abstract base classes: in a worker that runs small
turns seventy times a turn. Their class answers in Python, by one call of C. Here that call answers directly, with the
same answers to whoever asks: code of users that has asyncpg in the same process sees no difference.
"""

import abc
from functools import partial
from typing import Any, Final

from asyncpg.protocol import protocol

# The names under which asyncpg asks. A version that has others, or a Python that answers otherwise, stays as it is.
_ASKED: Final = ("IterableABC", "SizedABC")


def install() -> None:
    """From here on arguments are encoded like this, on every connection of the process."""
    ask = getattr(abc, "_abc_instancecheck", None)
    if ask is not None and all(hasattr(protocol, name) for name in _ASKED):
        for name in _ASKED:
            setattr(protocol, name, _direct(ask, getattr(protocol, name)))


def _direct(ask: Any, asked: type) -> type:
    """A class whose isinstance() is that of an abstract base class, asked in C."""
    kind = type("Direct", (type,), {"__instancecheck__": staticmethod(partial(ask, asked))})
    made: type = kind(asked.__name__, (), {})
    return made

"""What asyncpg asks of each element of an array, asked faster.

To find out whether an element is an array itself, asyncpg asks two abstract base classes, each time through Python: in
a worker that runs small turns seventy times a turn, for a twentieth of all that it does. Here it asks concrete types.

Only for a process that is ours alone (a worker): then an array argument is a list, a tuple or a set, and no other kind
of collection.
"""

from typing import Any, Final

from asyncpg.protocol import protocol

_ARRAYS: Final = (list, tuple, set, frozenset)
# The names under which asyncpg asks. One that has others asks as before.
_ASKED: Final[dict[str, Any]] = {"IterableABC": _ARRAYS, "SizedABC": object}


def install() -> None:
    """From here on arguments are encoded like this, on every connection of the process."""
    if all(hasattr(protocol, name) for name in _ASKED):
        for name, kinds in _ASKED.items():
            setattr(protocol, name, kinds)

"""How the garbage collector is set in processes of Argosy.

Argosy's own code makes no reference cycles (tests/dispatch/test_garbage.py shows it): reference counts free all of its
objects. The collector is there for users' code. By default it examines all young objects after every 700 allocations;
that took a tenth of a worker's time on a small turn, and found nothing.
"""

import gc
from typing import Final

_YOUNG_MAX: Final = 50_000  # at most about 10 MB of garbage before a collection, which takes 5 ms
_ROUNDS: Final = 10  # Python's default


def look_seldom() -> None:
    """Collect less often. Call it at the start of a process: what is imported afterwards stays, and to look for garbage
    among it took a twentieth of a start.
    """
    gc.set_threshold(_YOUNG_MAX, _ROUNDS, _ROUNDS)


def settle() -> None:
    """Exempt all objects that exist now from future collections, and collect less often. These objects live as long as
    the process, and in a gateway a full collection of them took 30 ms. Call it once, when everything is imported and
    opened.
    """
    gc.collect()
    gc.freeze()
    look_seldom()

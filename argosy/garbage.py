"""The garbage collector in a process that serves.

Our own code leaves it nothing: what it allocates is freed when the last one lets go (tests/dispatch/test_garbage.py).
It is there for users' code. By default it looks at everything young each 700 allocations, which took a tenth of what a
worker spends on a small turn, for nothing.
"""

import gc
from typing import Final

_YOUNG_MAX: Final = 50_000  # ten megabytes or so of garbage at the most, before anything of it is found, in 5 ms
_ROUNDS: Final = 10


def settle() -> None:
    """What is here now stays: no full collection looks at it again (in a gateway that took 30 ms each time). Once, when
    everything is imported and opened.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, _ROUNDS, _ROUNDS)

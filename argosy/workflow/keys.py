"""The grammar of keys, under which an operation's outcome is recorded: pure.

    step.name            the first call of a step; #2, #3, … the further ones, in the order of the calls
    sleep, now, uuid     of ctx.sleep, ctx.now, ctx.uuid
    signal:NAME          of ctx.wait_signal
    @timer, @time        of the turn's loop: asyncio.sleep and the like; its time, which is the whole turn's
    7/step.name          of the branch that is the turn's seventh task: each task counts its calls for itself
    @cancel              of the turn: it is cancelled, and its code is told at this place; asked for by nobody
    step.name~2          the wait after the second try of a step; nobody awaits it but the step

Names of steps begin with a letter and have no ~, # and /; those of signals have no ~ and #.
"""

from typing import Final

TIMER: Final = "@timer"
TIME: Final = "@time"
CANCEL: Final = "@cancel"


def retry_key(key: str, tries: int) -> str:
    """Of the wait after so many tries of the step with this key."""
    return f"{key}~{tries}"


def is_awaited(key: str) -> bool:
    """Whether the code of a workflow awaits the outcome: not the wait between two tries, nor the loop's time."""
    return "~" not in key and (key[:1] != "@" or key.partition("#")[0] != TIME)


def step_key(retry: str) -> str:
    """The key of the step whose wait this is."""
    return retry.rpartition("~")[0]


def signal_of(key: str) -> str:
    """The name of the signal that a wait is for."""
    return key[key.index("signal:") + len("signal:") :].partition("#")[0]

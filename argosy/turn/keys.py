r"""The grammar of keys, under which the outcomes of operations are recorded: pure.

    step.name            the first call of a step; #2, #3, … the further ones, in the order of the calls
    sleep, now, uuid     of ctx.sleep, ctx.now, ctx.uuid
    signal:NAME          of ctx.wait_signal
    graph:write          of a write to a graph, whichever it is; graph:get, graph:query, … of a read
    ingest:start         of ctx.start_ingest
    ingest:look          of ctx.wait_ingest, and signal:\x01ingest:JOB when the job had not ended then
    @timer               of the turn's loop: asyncio.sleep and the like
    @time                of the turn's loop: its time; counted for the whole turn
    7/step.name          of the turn's task number 7; the workflow is number 0. Each task counts its calls for itself
    @cancel              the turn is cancelled, and its code is told at this place; the code does not ask for it
    step.name~2          the wait after the second try of a step; the step waits for it, and the code does not

Names of steps begin with a letter and have no ~, #, / and :; names of signals have no ~ and #.
"""

from typing import Final

# What a workflow awaits of ctx, by method.
OPERATIONS: Final = frozenset({"run", "sleep", "wait_signal", "now", "uuid", "start_ingest", "wait_ingest"})
TIMER: Final = "@timer"
TIME: Final = "@time"
CANCEL: Final = "@cancel"
GRAPH: Final = "graph:"
INGEST: Final = "ingest:"


def retry_key(key: str, tries: int) -> str:
    """Return the key of the wait after so many tries of the step with this key."""
    return f"{key}~{tries}"


def is_awaited(key: str) -> bool:
    """Whether a workflow awaits this outcome; it awaits neither the wait between two tries nor the time of the loop."""
    return "~" not in key and (key[:1] != "@" or key.partition("#")[0] != TIME)


def step_key(retry: str) -> str:
    """Return the key of the step whose wait between two tries this is."""
    return retry.rpartition("~")[0]


def signal_of(key: str) -> str:
    """Return the name of the signal that a wait is for."""
    return key[key.index("signal:") + len("signal:") :].partition("#")[0]

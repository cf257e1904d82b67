"""The closed list of events: a turn's journal and its story are the same rows.

| durable          | key      | data (JSON)                                              |
|------------------|----------|----------------------------------------------------------|
| turn.started     |          | {}                                                       |
| turn.reset       |          | {"from_seq": n}: what an earlier attempt left unrecorded is void |
| turn.suspended   |          | {"channels"?, "emits"?}: of the workflow, those that changed since the suspend before |
| turn.resumed     |          | {}                                                       |
| turn.completed   |          | {"channels"?}; clients are told "result", or its size: argosy/turn/ended.py |
| turn.failed      |          | {"type", "message", "traceback"?, "channels"?}           |
| turn.cancelling  |          | {"until"}: it is cancelled, and its code may clean up until then |
| turn.cancelled   |          | {"type"?, "message"?, "traceback"?, "channels"?}: what its clean-up failed of |
| turn.expired     |          | {"channels"?}                                            |
| turn.rejected    |          | {"reason"}                                               |
| turn.parked      | (a step) | {"reason", "message", "channels"?}                       |
| step.intended    | step key | {}: an at_most_once step is about to run                 |
| step.completed   | step key | {"result": any, "attempts": n, "took_ms"?, "channels"?}  |
| step.failed      | step key | {"type", "message", "attempts", "traceback"?, "took_ms"?, "channels"?}: for good |
| step.retrying    | step key | {"type", "message", "attempts", "took_ms"?, "delay_s"}   |
| step.cancelled   | step key | {}: it had begun, and the code gave it up before it had an outcome |
| wait.started     | wait key | {"kind": "signal"|"sleep"|"retry", "name"?, "timeout_s"?} |
| wait.completed   | wait key | {"payload"?: any}                                        |
| wait.timed_out   | wait key | {}                                                       |
| wait.cancelled   | wait key | {}: as step.cancelled                                     |
| value.recorded   | key      | {"value": any}: now() and uuid()                         |

"traceback": where in user code the error came from (argosy/workflow/frames.py), 2 KiB at the most; whoever may read the
turn may read it, of a private step nobody.
"causes"?: of a step.failed, [[type, message], …], what the error was raised from. "args": in the events that end a
step, a digest of its arguments, for ourselves.
"took_ms": of the last try, when it was 10 or more. "channels": whole values, {NAME: {"text": "…"} | {"json": any}}.
Some members are for ourselves and never leave (argosy/turn/projection.py): "private", true or the fields of the result
that are, in the events of a step that is declared so (true also where it parked the turn, and in its retries' waits);
"emits", how many emits of the workflow turn.suspended holds; "keys", the last member of turn.started, turn.reset and
turn.resumed: how keys are made from there on (argosy/workflow/keys.py; without it: argosy/workflow/old_keys.py).

| told only     | data                                                                               |
|---------------|------------------------------------------------------------------------------------|
| step.private  | {}: stands for the event of a private step; key "", and the number of the event     |
| frame         | {"attempt", "n", "channel", "step", "offset", "text"|"json"|"patch"}                |
| channel.reset | {"attempt", "n", "channel", "step"}: it is empty again                              |
| gap           | {"attempt", "n", "channel", "step"}: frames were left out, its whole value is next  |
| resync        | {"from_seq": n}: what was told after this event never happened                      |
| snapshot      | {"turn"}: as GET shows it, in place of events that are not told one by one          |
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class Cancelling(msgspec.Struct):
    """Data of turn.cancelling. until: database time."""

    until: datetime


class Event(StrEnum):
    TURN_STARTED = "turn.started"
    TURN_RESET = "turn.reset"
    TURN_SUSPENDED = "turn.suspended"
    TURN_RESUMED = "turn.resumed"
    TURN_COMPLETED = "turn.completed"
    TURN_FAILED = "turn.failed"
    TURN_CANCELLING = "turn.cancelling"
    TURN_CANCELLED = "turn.cancelled"
    TURN_EXPIRED = "turn.expired"
    TURN_REJECTED = "turn.rejected"
    TURN_PARKED = "turn.parked"
    STEP_INTENDED = "step.intended"
    STEP_COMPLETED = "step.completed"
    STEP_FAILED = "step.failed"
    STEP_RETRYING = "step.retrying"
    STEP_CANCELLED = "step.cancelled"
    WAIT_STARTED = "wait.started"
    WAIT_COMPLETED = "wait.completed"
    WAIT_TIMED_OUT = "wait.timed_out"
    WAIT_CANCELLED = "wait.cancelled"
    VALUE_RECORDED = "value.recorded"


class WireEvent(StrEnum):
    """Types that clients are told and no row has."""

    STEP_PRIVATE = "step.private"
    FRAME = "frame"
    CHANNEL_RESET = "channel.reset"
    GAP = "gap"
    RESYNC = "resync"
    SNAPSHOT = "snapshot"


BEGINNINGS = frozenset({Event.TURN_STARTED, Event.TURN_RESET, Event.TURN_RESUMED})
KEYS = b'"keys":2}'  # how the data of a beginning ends

SETTLED_OUTCOMES = frozenset(
    {Event.STEP_COMPLETED, Event.STEP_FAILED, Event.WAIT_COMPLETED, Event.WAIT_TIMED_OUT, Event.VALUE_RECORDED}
)  # at most one of these per (turn, key): recorded once (I3)

"""The closed list of event types. A turn's history and the events that clients see are the same rows.

| durable          | key      | data (JSON)                                              |
|------------------|----------|----------------------------------------------------------|
| turn.started     |          | {}                                                       |
| turn.reset       |          | {"from_seq": n}: its own seq; what the last attempt did not record is void |
| turn.suspended   |          | {"channels"?, "emits"?}: the workflow's channels changed since the last suspension |
| turn.resumed     |          | {}                                                       |
| turn.completed   |          | {"channels"?}; clients also get "result", or its size: argosy/turn/ended.py |
| turn.failed      |          | {"type", "message", "traceback"?, "channels"?}           |
| turn.cancelling  |          | {"until"}: the turn is cancelled, and its code may clean up until then |
| turn.cancelled   |          | {"type"?, "message"?, "traceback"?, "channels"?}: the error of a clean-up that failed |
| turn.expired     |          | {"channels"?}                                            |
| turn.rejected    |          | {"reason"}                                               |
| turn.parked      | (a step) | {"reason", "message", "channels"?}                       |
| step.intended    | step key | {}: an at_most_once step is about to run; {"graph"?}: a write to a graph is |
| step.completed   | step key | {"result": any, "attempts": n, "took_ms"?, "channels"?}  |
| step.failed      | step key | {"type", "message", "attempts", "traceback"?, "took_ms"?, "channels"?}: no try is left |
| step.retrying    | step key | {"type", "message", "attempts", "took_ms"?, "delay_s", "away"?, "shard"?} |
| step.cancelled   | step key | {}: the step had begun, and the code gave it up before it had an outcome |
| wait.started     | wait key | {"kind": "signal"|"sleep"|"retry", "name"?, "timeout_s"?} |
| wait.completed   | wait key | {"payload"?: any}                                        |
| wait.timed_out   | wait key | {}                                                       |
| wait.cancelled   | wait key | {}: the code gave the wait up before it had an outcome   |
| value.recorded   | key      | {"value": any}: of now() and uuid()                      |

"traceback": where in user code the error came from (argosy/workflow/frames.py), at most 2 KiB. Every client that may
read the turn may read it, but nobody may read a private step's.
"causes"?: in step.failed, the errors from which the error was raised: [[type, message], …]. "took_ms": of the last try,
if it took 10 ms or more. "away": true: a graph could not be asked, so the try spent no retry; "shard": which one did
not answer. "channels": whole values, {NAME: {"text": "…"} | {"json": any}}.
Some members are internal and no client gets them (argosy/turn/projection.py). "private": true, or the private fields of
the result, in the events of a step that is declared private (true also where the step parked the turn, and in the waits
between its tries). "args": a digest of a step's arguments, in the events that end it. "emits": how many emits of the
workflow turn.suspended covers. "keys": the last member of turn.started, turn.reset and turn.resumed; how keys are made
from there on (argosy/turn/keys.py; without it: argosy/workflow/old_keys.py). "ops", "made", "incarnation" and
"made_at_ms": in step.intended, the write to a graph that is to be applied (argosy/workflow/graph_write.py).

| sent only     | data                                                                               |
|---------------|------------------------------------------------------------------------------------|
| step.private  | {}: stands for the event of a private step, with its number, and with key ""        |
| frame         | {"attempt", "n", "channel", "step", "offset", "text"|"json"|"patch"}                |
| channel.reset | {"attempt", "n", "channel", "step"}: the channel is empty again                     |
| gap           | {"attempt", "n", "channel", "step"}: frames were left out; the whole value is next  |
| resync        | {"from_seq": n}: the events sent after event n never happened                       |
| snapshot      | {"turn"}: the turn as GET shows it, in place of events that are not sent one by one |
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from argosy.turn.status import Status


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
    """Types of messages that only streams have; no row has them."""

    STEP_PRIVATE = "step.private"
    FRAME = "frame"
    CHANNEL_RESET = "channel.reset"
    GAP = "gap"
    RESYNC = "resync"
    SNAPSHOT = "snapshot"


# Classes of events. Each has one name, and this is its one definition: tests compare SQL and JavaScript with it.

BEGINNINGS: Final = frozenset({Event.TURN_STARTED, Event.TURN_RESET, Event.TURN_RESUMED})
# Their data says nothing that users wrote: it is never sealed (argosy/seal).
WITHOUT_PAYLOAD: Final = BEGINNINGS | {Event.TURN_CANCELLING, Event.WAIT_STARTED}
KEYS: Final = b'"keys":2}'  # the data of each of these events ends with this

# What a turn has become with the event that ends it.
ENDINGS: Final = {
    Event.TURN_COMPLETED: Status.COMPLETED,
    Event.TURN_FAILED: Status.FAILED,
    Event.TURN_CANCELLED: Status.CANCELLED,
    Event.TURN_EXPIRED: Status.EXPIRED,
    Event.TURN_REJECTED: Status.REJECTED,
}
# What a turn is after each event that changes its state.
STATUS_AFTER: Final = {
    Event.TURN_STARTED: Status.RUNNING,
    Event.TURN_RESET: Status.RUNNING,
    Event.TURN_RESUMED: Status.RUNNING,
    Event.TURN_SUSPENDED: Status.SUSPENDED,
    Event.TURN_PARKED: Status.PARKED,
    **ENDINGS,
}
# What is sent to a follower that waits for the end alone. A parked turn does not end by itself, so its parking counts.
RESTS: Final = ENDINGS.keys() | {Event.TURN_PARKED}
# Those that may hold the values of the workflow's own channels.
CHANNEL_HOLDERS: Final = ENDINGS.keys() | {Event.TURN_SUSPENDED, Event.TURN_PARKED}

STEP_ENDS: Final = frozenset({Event.STEP_COMPLETED, Event.STEP_FAILED})
STEP_OUTCOMES: Final = STEP_ENDS | {Event.STEP_RETRYING}  # of a try
STEP_EVENTS: Final = STEP_OUTCOMES | {Event.STEP_INTENDED, Event.STEP_CANCELLED}
# What a step and a wait are after each of their events, as clients are told.
STEP_STATUS_AFTER: Final[dict[str, str]] = {
    Event.STEP_INTENDED: "intended",
    Event.STEP_RETRYING: "retrying",
    Event.STEP_COMPLETED: "completed",
    Event.STEP_FAILED: "failed",
    Event.STEP_CANCELLED: "cancelled",
}
WAIT_STATUS_AFTER: Final[dict[str, str]] = {
    Event.WAIT_STARTED: "waiting",
    Event.WAIT_COMPLETED: "completed",
    Event.WAIT_TIMED_OUT: "timed out",
    Event.WAIT_CANCELLED: "cancelled",
}

# At most one of these per (turn, key): recorded once (I3).
SETTLED_OUTCOMES: Final = STEP_ENDS | {Event.WAIT_COMPLETED, Event.WAIT_TIMED_OUT, Event.VALUE_RECORDED}

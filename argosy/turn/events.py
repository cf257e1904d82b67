"""The closed list of durable events: a turn's journal and its story are the same rows.

| type             | key      | data (JSON)                                              |
|------------------|----------|----------------------------------------------------------|
| turn.started     |          | {}                                                       |
| turn.reset       |          | {"from_seq": n}: what an earlier attempt left unrecorded is void |
| turn.suspended   |          | {}                                                       |
| turn.resumed     |          | {}                                                       |
| turn.completed   |          | {}: the result is the turn's own                         |
| turn.failed      |          | {"type", "message"}                                      |
| turn.cancelled   |          | {"reason"?}                                              |
| turn.expired     |          | {}                                                       |
| turn.rejected    |          | {"reason"}                                               |
| turn.parked      |          | {"reason", "message"}                                    |
| step.intended    | step key | {}: an at_most_once step is about to run                 |
| step.completed   | step key | {"result": any, "attempts": n}                           |
| step.failed      | step key | {"type", "message", "attempts"}: for good                |
| step.retrying    | step key | {"type", "message", "attempts", "delay_s"}               |
| wait.started     | wait key | {"kind": "signal"|"sleep"|"retry", "name"?, "timeout_s"?} |
| wait.completed   | wait key | {"payload"?: any}                                        |
| wait.timed_out   | wait key | {}                                                       |
| value.recorded   | key      | {"value": any}: now() and uuid()                         |
"""

from enum import StrEnum


class Event(StrEnum):
    TURN_STARTED = "turn.started"
    TURN_RESET = "turn.reset"
    TURN_SUSPENDED = "turn.suspended"
    TURN_RESUMED = "turn.resumed"
    TURN_COMPLETED = "turn.completed"
    TURN_FAILED = "turn.failed"
    TURN_CANCELLED = "turn.cancelled"
    TURN_EXPIRED = "turn.expired"
    TURN_REJECTED = "turn.rejected"
    TURN_PARKED = "turn.parked"
    STEP_INTENDED = "step.intended"
    STEP_COMPLETED = "step.completed"
    STEP_FAILED = "step.failed"
    STEP_RETRYING = "step.retrying"
    WAIT_STARTED = "wait.started"
    WAIT_COMPLETED = "wait.completed"
    WAIT_TIMED_OUT = "wait.timed_out"
    VALUE_RECORDED = "value.recorded"


SETTLED_OUTCOMES = frozenset(
    {Event.STEP_COMPLETED, Event.STEP_FAILED, Event.WAIT_COMPLETED, Event.WAIT_TIMED_OUT, Event.VALUE_RECORDED}
)  # at most one of these per (turn, key): recorded once (I3)

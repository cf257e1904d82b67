"""What a run is judged by: what clients saw, and what an idempotent sink received."""

from typing import Any, Final, NamedTuple

UNCERTAIN: Final = frozenset({0, 504})  # no answer, or "it may have happened"


class Request(NamedTuple):
    """One POST of a turn. Times: seconds of one clock. status: HTTP, 0 when no answer came. key: "" for none.
    effects: how many steps of a completed turn must have reached the sink; None when it does not matter.
    """

    session: str
    key: str
    sent_s: float
    answered_s: float
    status: int
    turn_id: str | None
    effects: int | None = None


class SignalSent(NamedTuple):
    """One POST of a signal. request_id: the Idempotency-Key, "" for none. payload: hashable."""

    turn_id: str
    name: str
    request_id: str
    payload: Any
    status: int


class Event(NamedTuple):
    seq: int
    attempt: int
    type: str
    key: str = ""
    data: Any = None


class Read(NamedTuple):
    """The last read of one turn id. turn_id differs from the id that was asked for when that one is a duplicate."""

    turn_id: str
    session: str
    status: str
    events: tuple[Event, ...]


class Effect(NamedTuple):
    """What the sink received. started, finished: numbers of one counter that grows with everything the sink sees;
    finished is 0 when no answer was given. succeeded: the sink answered with success. attempt: of the turn, as its step
    was told; 0 when it said nothing. pid: of the process that ran the step. at_s: when it was received, since 1970.
    """

    started: int
    finished: int
    turn_id: str
    step_key: str
    idempotency_key: str
    session: str
    succeeded: bool = True
    attempt: int = 0
    pid: int = 0
    at_s: float = 0.0


class History(NamedTuple):
    """reads: by the id that was asked for. disruptions: crashes and losses of contact that were made to happen; an
    orderly change of owner is none. waiting: ids of turns that are meant to wait still. repeatable: ids of the turns of
    which a disruption may have hit a step, None for all. stopped: pids of processes that were stopped for a while (not
    killed), so that others took over from them; see echo.py. is_truth_old: the database forgot what it had recorded (a
    restore, an asynchronous failover), so what was recorded once may run again.
    """

    requests: tuple[Request, ...]
    reads: dict[str, Read]
    effects: tuple[Effect, ...]
    signals: tuple[SignalSent, ...] = ()
    disruptions: int = 0
    waiting: frozenset[str] = frozenset()
    repeatable: frozenset[str] | None = None
    stopped: frozenset[int] = frozenset()
    is_truth_old: bool = False


def resolved(history: History, turn_id: str | None) -> str | None:
    """The turn that an id stands for: itself, or the one that it is a duplicate of; None when it was never read."""
    read = history.reads.get(turn_id or "")
    return read.turn_id if read else None

"""One turn's part in one flush."""

import structlog

from argosy import telemetry
from argosy.turn.events import Event
from argosy.turn.status import Status
from argosy.workers.dispatch.turn import EventWrite, Stop, Turn

log = structlog.get_logger()


class Entry:
    """One turn's part in one flush: what was, what is, what is new. Taking it empties the turn's lists."""

    __slots__ = (
        "attempt",
        "durable",
        "events",
        "inbox",
        "is_poison",
        "moves",
        "old_attempt",
        "old_seq",
        "old_status",
        "reason",
        "seq",
        "status",
        "turn",
    )

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.old_status, self.old_attempt, self.old_seq = turn.written_status, turn.written_attempt, turn.written_seq
        self.status, self.attempt, self.seq = turn.status, turn.attempt, turn.seq
        self.reason = turn.reason
        self.events, turn.events = turn.events, []
        self.inbox, turn.inbox = turn.inbox, []
        self.moves, turn.moves = turn.moves, {}
        self.durable, turn.durable = turn.durable, None
        turn.written_status, turn.written_attempt, turn.written_seq = turn.status, turn.attempt, turn.seq
        self.is_poison = False

    def poisoned(self, message: str) -> "Entry":
        """The same turn, parked, with nothing of what Postgres refused."""
        log.error(telemetry.FLUSH_POISONED, turn_id=str(self.turn.turn_id), error=message)
        telemetry.PARKED.labels(reason="unwritable").inc()
        turn = self.turn
        self.is_poison = True
        turn.result = turn.error = turn.waits = None
        turn.status = turn.written_status = self.status = Status.PARKED
        turn.attempt = turn.written_attempt = self.attempt = max(self.attempt, 1)
        turn.seq = turn.written_seq = self.seq = self.old_seq + 1
        turn.reason = self.reason = "unwritable"
        self.events = [EventWrite(self.seq, self.attempt, Event.TURN_PARKED, "", b'{"reason":"unwritable"}')]
        self.inbox = []
        self.moves = {}
        turn.events, turn.inbox, turn.moves = [], [], {}
        if turn.task is not None:
            turn.stop = turn.stop or Stop.DROP
            turn.task.cancel()
        return self

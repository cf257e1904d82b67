"""The contract of a log: an ordered, partitioned, durable sequence of records. Its adapters are in argosy/logs/.

Promises that every adapter keeps and tests/contract/ shows:
- APPENDED means durable: the record survives the loss of any process from that moment on (I1).
- NOT_APPENDED is certain; an outcome that is not certain is UNKNOWN.
- Positions of a partition grow in the order of appends. A reader sees each record from its start position on once, in
  order. A position may never have a record (in Kafka: markers and aborted records of transactions, compacted records),
  but it never has another record.
- A record belongs to the reading under which it was polled: `Batch.reading_no` is the number given to `start`, and
  nothing that was polled before a `start` is ever delivered with that number.
- The log's word says which worker is eligible for a partition, and so should own it. Ownership itself is in Postgres
  (see workers/dispatch).
- A reader that the log cannot reach takes the last word for old before the log may have given one of its partitions to
  another worker (`is_word_old`).
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from argosy.errors import RecordError


class Outcome(Enum):
    """The outcome of an append."""

    APPENDED = "appended"
    NOT_APPENDED = "not_appended"  # certainly not in the log
    UNKNOWN = "unknown"  # may be in the log: repeat with the same turn id or idempotency key


class Entry(NamedTuple):
    """A record to append. headers: (name, value) pairs, `traceparent` among them."""

    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Appended(NamedTuple):
    """The result of one append. position: -1 unless APPENDED. reason: why it was not appended; empty when APPENDED."""

    outcome: Outcome
    position: int = -1
    reason: str = ""


class Record(NamedTuple):
    """A record as read. timestamp_ms: when it was appended, Unix milliseconds, by the log's or the gateway's clock.
    fault: why it must not be taken, whatever it holds; is_proved: only who knows the fleet's secret can have written it
    (argosy/record_mac.py).
    """

    position: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    fault: RecordError | None = None
    is_proved: bool = False


class Batch(NamedTuple):
    """Records of one partition, in order, polled under one reading; there may be none.

    begin, end: the batch before ended at begin, the next one begins at end, and the log has nothing between them but
    these records. is_fresh: this is the first batch since the reader went to a position (a start, a resume). Such a
    batch may show what the reader had fetched for another position, so records that seem to be missing right after
    begin may be there. Positions missing between two records, or behind the last, have no record in the log.
    """

    partition: int
    reading_no: int
    records: list[Record]
    begin: int
    end: int
    is_fresh: bool


class Gap(NamedTuple):
    """The positions from begin to end, which have no record. has_record: a record follows at end; else none had come
    after the gap yet.
    """

    begin: int
    end: int
    has_record: bool


class Identity(NamedTuple):
    """The identity of a log. Positions belong to (cluster_id, topic_id), and to no other log of the same name."""

    cluster_id: str
    topic_id: str
    partition_count: int

    @property
    def log_id(self) -> str:
        return f"{self.cluster_id}/{self.topic_id}"


class Span(NamedTuple):
    """The positions p that a partition holds: begin <= p < end. The next append goes to end."""

    begin: int
    end: int


class Held(NamedTuple):
    """How much a topic holds. size_bytes: on disk, replicas not counted; None when the log does not tell."""

    records: int
    size_bytes: int | None


class Recovery(NamedTuple):
    """How the log handles a worker that is gone. session_timeout_s: after this at the latest other workers read its
    partitions; None when the log does not tell. how_to_lower: why that is longer than the settings ask for, and what to
    do about it; empty when it is not.
    """

    session_timeout_s: float | None
    how_to_lower: str = ""

    @property
    def words(self) -> str:
        """One line for people."""
        bound = "an unknown time" if self.session_timeout_s is None else f"{self.session_timeout_s:g} s"
        line = (
            f"the running turns of a worker that is killed go on at once, new turns of its sessions after {bound} at"
            " the latest"
        )
        return f"{line} ({self.how_to_lower})" if self.how_to_lower else line


class Fence(NamedTuple):
    """The right to trim: the leader of this role in this term may trim this log, and no other of its name."""

    role: str
    term: int
    topic_id: str


class LogWriter(Protocol):
    """Appends to one topic. Safe to call from many tasks of one event loop."""

    @property
    def partition_count(self) -> int:
        """The topic's number of partitions when this writer opened it; it is fixed when the topic is made."""
        ...

    @property
    def identity(self) -> Identity:
        """The identity of the log when this writer opened it."""
        ...

    async def look(self) -> Identity:
        """Return the identity of the log that has this name now. Raises LogUnavailableError, or SettingError when there
        is no such log.
        """
        ...

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Append all entries, in order per partition; return one result per entry. Never raises for a failed append.

        An append is bounded in time (LOG_APPEND_TIMEOUT_S) and in memory (with a full queue it is NOT_APPENDED).
        The adapter wakes the event loop once per call, not once per record.
        """
        ...

    async def backlog_age_s(self) -> float:
        """Return for how long the oldest append in flight has been waiting; 0 when none is in flight."""
        ...

    async def close(self) -> None:
        """Wait for the appends in flight, for LOG_APPEND_TIMEOUT_S at the most, and close."""
        ...


class LogReader(Protocol):
    """Reads the partitions of one topic that this process is eligible for."""

    async def open(
        self,
        on_batch: Callable[[Batch], None],
        on_eligible: Callable[[frozenset[int]], None],
    ) -> Identity:
        """Join the group, and return the log's identity. Both callbacks run on the event loop. on_eligible is called
        with the whole set of partitions that this process is eligible for, after every change, and when the log
        confirms a word that had become old. Raises LogUnavailableError, or SettingError when there is no such topic.
        """
        ...

    async def identity(self) -> Identity:
        """Return the log's identity, at most 2 s old. A topic that was deleted and made again has another topic_id."""
        ...

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        """Return what these partitions hold now. Raises LogUnavailableError."""
        ...

    async def has_joined(self) -> bool:
        """Whether the log has said what this process is eligible for: on_eligible was called, or this process is a
        member of the group and gets no partition, because other workers have them all. Once true it stays true. Raises
        LogUnavailableError.
        """
        ...

    def start(self, partition: int, position: int, reading_no: int) -> None:
        """Deliver this partition from position on, in batches of this reading; drop what was polled of it before.

        Does nothing when this process is no longer eligible for the partition.
        """
        ...

    def stop(self, partition: int) -> None:
        """Deliver nothing of this partition until the next start."""
        ...

    def pause(self) -> None:
        """Deliver nothing until `resume` (back-pressure). The reader stays in the group and keeps its positions."""
        ...

    def resume(self) -> None: ...

    def wake(self) -> None:
        """Look for new records now: a hint that there are some. Adapters that need no hint ignore it."""
        ...

    def accepted(self, partition: int, position: int) -> None:
        """Tell the log that everything before position is in Postgres. Only tools that show lag use it: Argosy never
        reads it back.
        """
        ...

    def session_timeout_s(self) -> float | None:
        """Return after how many seconds without a sign of life the log takes a member out of the group, in effect; None
        when the log does not tell. Known once `open` has returned.
        """
        ...

    def is_word_old(self) -> bool:
        """Whether the last call of on_eligible may no longer hold: nothing was heard from the log for so long that it
        may have given the partitions to other workers. That is so after this process was stopped, until the log answers
        again; then on_eligible is called, even with the same set. A worker that claims by an old word takes partitions
        from their rightful owner.
        """
        ...

    async def leave(self) -> None:
        """Leave the group until `join`: on_eligible is called with the empty set (before this returns, or soon after),
        other workers become eligible without waiting for a time-out, and nothing more is delivered.
        """
        ...

    async def join(self) -> None:
        """Join the group again after `leave`."""
        ...

    async def close(self) -> None:
        """Leave the group at once, so that other workers become eligible without waiting for a time-out."""
        ...


class LogAdmin(Protocol):
    """What an operator or a leader of maintenance does with a topic."""

    async def ensure_topic(self) -> list[str]:
        """Create the topic, or check it. Returns warnings in plain words (too few replicas, short retention, …).

        Raises SettingError when the existing topic contradicts the settings, LogUnavailableError when the log does not
        answer.
        """
        ...

    async def recovery(self) -> Recovery:
        """Set the session timeout of the consumer group as the settings ask, as far as the log allows; return what is
        in effect then.
        """
        ...

    async def identity(self) -> Identity:
        """Return the log's identity now. Raises SettingError when there is no such topic, LogUnavailableError."""
        ...

    async def trim(self, partition: int, position: int, fence: Fence | None = None) -> bool:
        """Delete the records before position. Returns False when that was too much for one call: call again.

        fence: nothing is deleted of a topic that was made again under the name. A log in Postgres checks the term, too,
        and raises OwnershipLostError when it is over. Kafka knows no terms: there a leader that comes late repeats what
        it had decided in its term, and what was accepted long enough ago then is so now. Raises LogUnavailableError.
        """
        ...

    async def held(self) -> Held:
        """Return how much the topic holds. Raises LogUnavailableError."""
        ...

    async def close(self) -> None: ...

"""The log admits: an ordered, partitioned, durable sequence of records. The contract; adapters are in argosy/logs/.

Promises that every adapter keeps and tests/contract/ shows:
- APPENDED means durable: the record survives the loss of any process at once after (I1).
- NOT_APPENDED is certain; everything that is not certain is UNKNOWN.
- Positions of a partition grow with the order of appends; a reader sees each record from its start position on once,
  in order. Positions may hold no record for good (Kafka: what belongs to transactions, what was compacted), never
  another.
- A record belongs to the claim under which it was polled: `Batch.claim` is the number given to `start`, and nothing
  that was polled before a `start` is ever delivered with its number.
- Being eligible for a partition is the log's word on who should own it; owning it is Postgres's (see workers/dispatch).
- The word is known to be old before the log has given a partition to somebody else unheard (`is_word_old`).
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol


class Outcome(Enum):
    """What became of an append."""

    APPENDED = "appended"
    NOT_APPENDED = "not_appended"  # certainly not in the log
    UNKNOWN = "unknown"  # may be in the log: repeat with the same turn id or idempotency key


class Entry(NamedTuple):
    """What to append. headers: (name, value) pairs, `traceparent` among them."""

    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Appended(NamedTuple):
    """The result of one append. position is -1 unless APPENDED; reason is empty then."""

    outcome: Outcome
    position: int = -1
    reason: str = ""


class Record(NamedTuple):
    """What was read. timestamp_ms: when it was appended, Unix milliseconds, by the log's or the gateway's clock."""

    position: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Batch(NamedTuple):
    """Records of one partition, in order, polled under one claim; there may be none.

    begin, end: what was delivered before ends at begin, what comes next begins at end, and the log gave nothing else in
    between. is_fresh: it is the first since the reader went to a place (a start, a resume), where what it had fetched
    for another place may be in its way: what seems to be missing right after begin may be there. What is missing
    between two records, or behind the last, is not in the log.
    """

    partition: int
    claim: int
    records: list[Record]
    begin: int
    end: int
    is_fresh: bool


class Gap(NamedTuple):
    """Positions begin..end without a record; has_record: one stood at the end, else nothing had come behind it."""

    begin: int
    end: int
    has_record: bool


class Identity(NamedTuple):
    """Which log this is: positions belong to (cluster_id, topic_id) and to no other log of the same name."""

    cluster_id: str
    topic_id: str
    partition_count: int

    @property
    def log_id(self) -> str:
        return f"{self.cluster_id}/{self.topic_id}"


class Span(NamedTuple):
    """The positions that a partition holds: begin <= p < end; end is where the next append goes."""

    begin: int
    end: int


class Held(NamedTuple):
    """What a topic holds. size_bytes: on disk, replicas not counted; None where the log cannot say."""

    records: int
    size_bytes: int | None


class Recovery(NamedTuple):
    """What the log does about a worker that is gone. session_timeout_s: after this others read its partitions at the
    latest; None when nobody says. how_to_lower: why it is longer than the settings want, and what to do; or empty.
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
    """Who trims, under which term, and which log he means."""

    role: str
    term: int
    topic_id: str


class LogWriter(Protocol):
    """Appends to the topic of one lane. Safe to call from many tasks of one event loop."""

    @property
    def partition_count(self) -> int:
        """Fixed when the topic was made: what was found when it was opened."""
        ...

    @property
    def identity(self) -> Identity:
        """The log that was opened."""
        ...

    async def look(self) -> Identity:
        """The log of this name that is there now. Raises LogUnavailableError; SettingError when there is none."""
        ...

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Append all, in order per partition; one result per entry. Never raises for a failed append.

        Bounded in time (LOG_APPEND_TIMEOUT_S) and in memory (a full queue is NOT_APPENDED).
        Wakes the event loop once per call, not once per record.
        """
        ...

    async def backlog_age_s(self) -> float:
        """For how long the oldest append in flight has been waiting; 0 when none is."""
        ...

    async def close(self) -> None:
        """Deliver what is in flight, bounded by LOG_APPEND_TIMEOUT_S."""
        ...


class LogReader(Protocol):
    """Reads the partitions of one lane's topic that this process is eligible for."""

    async def open(
        self,
        on_batch: Callable[[Batch], None],
        on_eligible: Callable[[frozenset[int]], None],
    ) -> Identity:
        """Join the group and begin to be eligible. Both callbacks run on the event loop; on_eligible is called with
        the whole set after every change, and when an old word is confirmed. Raises LogUnavailableError, or SettingError
        when the topic is not there.
        """
        ...

    async def identity(self) -> Identity:
        """As it was not longer ago than 2 s: a topic that was deleted and made again has another topic_id."""
        ...

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        """What these partitions hold now. Raises LogUnavailableError."""
        ...

    async def has_joined(self) -> bool:
        """Whether it is known what this process is eligible for: on_eligible was called, or it is a member of the group
        and gets nothing, because others have everything. Once true it stays so. Raises LogUnavailableError.
        """
        ...

    def start(self, partition: int, position: int, claim: int) -> None:
        """Deliver this partition from position on (None of what was polled before), tagged with claim.

        Ignored when the partition is not eligible any more.
        """
        ...

    def stop(self, partition: int) -> None:
        """Deliver nothing of this partition until the next start."""
        ...

    def pause(self) -> None:
        """Back-pressure: deliver nothing until resume; membership and positions are kept."""
        ...

    def resume(self) -> None: ...

    def wake(self) -> None:
        """A hint that new records exist: look now (adapters that need no hint ignore it)."""
        ...

    def accepted(self, partition: int, position: int) -> None:
        """Advisory: everything before position is in Postgres. For lag tools only; nothing is ever read from it."""
        ...

    def session_timeout_s(self) -> float | None:
        """After how long without a sign of life a member is out of the group, in effect; None when nobody says.
        Known once `open` has returned.
        """
        ...

    def is_word_old(self) -> bool:
        """Whether what on_eligible was told last may not hold any more: the log was not heard for so long that it may
        have given it to others. So it is when this process was stopped and goes on, until the log has spoken again;
        then on_eligible is called, be it with the same. Who claims by an old word takes from a rightful owner.
        """
        ...

    async def leave(self) -> None:
        """Be eligible for nothing until `join`: on_eligible is called with the empty set (at the latest when this
        returns, or soon after), others become eligible without waiting for a time-out, and nothing more is delivered.
        """
        ...

    async def join(self) -> None:
        """After `leave`: a member of the group again."""
        ...

    async def close(self) -> None:
        """Leave the group at once, so that others become eligible without waiting for a time-out."""
        ...


class LogAdmin(Protocol):
    """What an operator or a maintenance leader does to a topic."""

    async def ensure_topic(self) -> list[str]:
        """Create the lane's topic, or check it. Returns warnings in plain words (too few replicas, short retention…).

        Raises SettingError when what is there contradicts the settings, LogUnavailableError when nobody answers.
        """
        ...

    async def recovery(self) -> Recovery:
        """Set the group's bound as the settings want it, as far as that is allowed; what holds then."""
        ...

    async def identity(self) -> Identity:
        """Which log it is now. Raises SettingError when there is no such topic, LogUnavailableError."""
        ...

    async def trim(self, partition: int, position: int, fence: Fence | None = None) -> bool:
        """Forget what is before position; False when that was too much for one call: call again.

        A log that is kept in Postgres is trimmed under the fence or not at all: OwnershipLostError. Raises
        LogUnavailableError.
        """
        ...

    async def held(self) -> Held:
        """What the topic holds. Raises LogUnavailableError."""
        ...

    async def close(self) -> None: ...

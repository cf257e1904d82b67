"""A partition that this worker has claimed."""

from enum import Enum
from typing import NamedTuple

from argosy.consuming.continuity import Reading
from argosy.log import Record
from argosy.workers.dispatch.lateness import new_since_ms


class Resume(Enum):
    """How a turn goes on that was running under another claim."""

    MOVED = "moved"  # its owner handed it over: the same attempt goes on
    UNHEARD = "unheard"  # its owner lives but left no word in time: the turn runs again, and that is no crash
    CRASHED = "crashed"  # its owner died: the turn runs again, and that is a crash


class Hole(NamedTuple):
    """Positions without a record at the end of what was read. position: the last of them."""

    position: int


class AcceptedThrough(NamedTuple):
    """Once a partition is accepted up to the position `end`, it is so up to the database time through_s."""

    end: int
    through_s: float


class Owned(Reading):
    """A partition under one claim in Postgres, and how it is read. A new claim makes a new Owned; once `is_void`, it
    stays so.

    It is changed by its methods only. log_id, position: the next record to accept, and in which log. new_since_ms: no
    id of a new turn is older (lateness.py). lag: records behind the position at the last look. backlog: what was read
    and not accepted yet. is_open: what the former owner left is known, so turns that wait in Postgres may run;
    is_closing: we hand it over, and still own it; is_lent: it is that of one borrowed turn. resume: how its turns go on
    that are running in Postgres. crashed_at_s: when an owner of it last died, database time; 0: never. held_at_s: when
    we sent the last call whose answer confirmed that it is ours, monotonic. graph_epoch: the epoch under which its
    turns write to graphs.
    """

    __slots__ = (
        "backlog",
        "crashed_at_s",
        "epoch",
        "first_bucket",
        "graph_epoch",
        "held_at_s",
        "is_closing",
        "is_lent",
        "is_open",
        "is_void",
        "lag",
        "last_bucket",
        "log_id",
        "mark",
        "new_since_ms",
        "partition",
        "position",
        "resume",
    )

    def __init__(self, partition: int, epoch: int, buckets: tuple[int, int]) -> None:
        super().__init__()
        self.partition = partition
        self.epoch = self.graph_epoch = epoch
        self.first_bucket, self.last_bucket = buckets
        self.log_id = ""
        self.position = 0
        self.new_since_ms = 0
        self.lag = 0
        self.backlog: list[Record | Hole] = []
        self.mark: AcceptedThrough | None = None
        self.is_void = self.is_closing = self.is_lent = self.is_open = False
        self.resume = Resume.CRASHED
        self.crashed_at_s = 0.0
        self.held_at_s = float("-inf")

    @classmethod
    def borrowed(cls, partition: int, bucket: int, resume: Resume, now_s: float, graph_epoch: int) -> "Owned":
        """Return the stand-in for the partition of one borrowed turn, which its owner has taken over already.

        graph_epoch: of the partition, no older than the loan.
        """
        owned = cls(partition, 0, (bucket, bucket))
        owned.is_lent = owned.is_open = True
        owned.resume = resume
        owned.held_at_s = now_s
        owned.graph_epoch = graph_epoch
        return owned

    # The claim

    def confirm(self, sent_s: float) -> None:
        """Note that Postgres said that the partition is ours, in its answer to a call that was sent then."""
        self.held_at_s = max(self.held_at_s, sent_s)

    def inherit(self, resume: Resume, crashed_at_s: float) -> None:
        """Note how the running turns of the former owner go on."""
        self.resume = resume
        self.crashed_at_s = crashed_at_s

    def open(self) -> None:
        """Let turns run that wait in Postgres: what the former owner left is known."""
        self.is_open = True

    @property
    def is_served(self) -> bool:
        """Whether what waits in Postgres for the partition's turns is taken in: what its former owner left is known,
        and it is not being handed over.
        """
        return self.is_open and not (self.is_void or self.is_closing)

    def close(self) -> None:
        """Let nothing new begin: the partition is being handed over, and is still ours."""
        self.is_closing = True

    def lose(self) -> None:
        """Note that the partition is not ours any more, and that what memory holds of it may not be true."""
        self.is_void = True

    # Its place in the log

    def begin_at(self, log_id: str, position: int) -> None:
        """Take over the position that Postgres has for this log."""
        self.log_id = log_id
        self.position = position
        self.new_since_ms = 0

    def accept_to(self, position: int) -> None:
        """Note that everything before this position is accepted."""
        self.position = position

    def accept_through(self, through_s: float, now_s: float) -> None:
        """Note that everything is accepted that was appended before this database time. now_s: this machine's time."""
        self.new_since_ms = max(self.new_since_ms, new_since_ms(through_s, now_s))

    def measure(self, end: int) -> None:
        """Note where the log ends."""
        self.lag = max(0, end - self.position)

    def put_mark(self, end: int, through_s: float) -> None:
        """Note that the partition is accepted up to this database time once it is accepted up to `end`."""
        self.mark = AcceptedThrough(end, through_s)

    def take_mark(self, position: int) -> float | None:
        """Return the database time of the mark, and forget the mark, if it does not lie behind this position."""
        mark = self.mark
        if mark is None or position < mark.end:
            return None
        self.mark = None
        return mark.through_s

    # What was read of it

    def add(self, each: Record | Hole) -> None:
        """Append what was read to the backlog."""
        self.backlog.append(each)
        self.next_read = each.position + 1

    def take(self, count: int) -> list[Record | Hole]:
        """Remove and return the first `count` entries of the backlog."""
        taken, self.backlog = self.backlog[:count], self.backlog[count:]
        return taken

    def forget(self) -> None:
        """Drop the backlog."""
        self.backlog.clear()

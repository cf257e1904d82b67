"""Tells a read what this process did while its answer was on the way.

What Postgres answers may be older than memory: between the question and the use of its answer, turns come, run and
leave, sessions are let go, and inbox rows take effect. Only this process changes the turns that it owns and their rows,
so whoever asks opens a `Read` around the question, and believes of the answer what the `Read` does not contradict. An
accept is such a question, too: it answers with places, and with who is the head of its session.

A `Read` need not outlive its answer. What was noted before it began was committed before it began (a turn leaves memory
when its last flush is durable, a session grows by a commit, an inbox row is committed before anybody can take it, and
every read counts rows that are buffered like rows that are due), so the answer shows it.

Other answers are about facts of which this process keeps a table: which turns are held or lent, which partitions are
owned. They need no `Read`: whether the table still has the very entry that was asked about tells as much.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager


class Read:
    """What this process did while one answer was on its way; all of it is ids.

    left: turns that left memory, and sessions of which a turn did, or which memory let go. grown: sessions of which
    Postgres got more turns while they were being read. taken: turns that were not in memory when one of their inbox
    rows took effect.
    """

    __slots__ = ("grown", "left", "taken")

    def __init__(self) -> None:
        self.left: set[uuid.UUID] = set()
        self.grown: set[uuid.UUID] = set()
        self.taken: set[uuid.UUID] = set()


class Reads:
    """The reads and accepts that are under way."""

    def __init__(self) -> None:
        self._open: list[Read] = []

    @contextmanager
    def begin(self) -> Iterator[Read]:
        """Note in a new Read what this process does during the block. Begin before the question is sent."""
        read = Read()
        self._open.append(read)
        try:
            yield read
        finally:
            self._open = [each for each in self._open if each is not read]

    def left(self, turn_id: uuid.UUID, session_id: uuid.UUID) -> None:
        """Note that a turn left memory."""
        for read in self._open:
            read.left.update((turn_id, session_id))

    def let_go(self, session_id: uuid.UUID) -> None:
        """Note that memory let go of a session, which may have had no turn in it."""
        for read in self._open:
            read.left.add(session_id)

    def grew(self, session_id: uuid.UUID) -> None:
        """Note that Postgres has more turns of a session that is being read."""
        for read in self._open:
            read.grown.add(session_id)

    def took(self, turn_id: uuid.UUID) -> None:
        """Note that an inbox row of a turn that is not in memory takes effect: it is buffered, or of no use."""
        for read in self._open:
            read.taken.add(turn_id)

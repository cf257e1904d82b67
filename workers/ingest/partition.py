"""One partition under one reading: the records that were read of it, in order, and which of them are done. Pure.

`position` is before the first record that is not done: everything up to there may be noted. What is done behind it
waits for it, as long as that takes: of records that follow each other and are done, only the last is kept. Positions
without a record are done when they are read.
"""

from collections import deque
from typing import Final

from argosy.consuming.continuity import Reading

_MERGE_AT: Final = 1_024  # slots; and then twice as many as were left, so that each is looked at a few times at most


class Slot:
    """A record that was read. position: where it stands in the log."""

    __slots__ = ("is_done", "position", "size_bytes")

    def __init__(self, position: int, size_bytes: int) -> None:
        self.position = position
        self.size_bytes = size_bytes
        self.is_done = False


class Partition:
    """A partition that this worker reads. A new reading makes a new one, and what comes of the old one is dropped.

    noted: up to where Postgres has it. is_over: it is not read any more.
    """

    def __init__(self, number: int, position: int, reading_no: int) -> None:
        self.number = number
        self.reading = Reading()
        self.reading.expect(position)
        self.reading.read_as(reading_no)
        self.noted = position
        self.held_size_bytes = 0
        self.is_over = False
        self._slots: deque[Slot] = deque()
        self._merge_at = _MERGE_AT
        self._position = position

    @property
    def position(self) -> int:
        """Before the first record that is not done."""
        return self._position

    @property
    def undone(self) -> int:
        """How many records were read and have not been passed yet, as far as they are kept one by one."""
        return len(self._slots)

    def add(self, position: int, size_bytes: int) -> Slot:
        """Take in the next record."""
        slot = Slot(position, size_bytes)
        self._append(slot)
        self.held_size_bytes += size_bytes
        return slot

    def skip_to(self, end: int) -> None:
        """Take in that there are no further records before `end`."""
        if self._slots:
            slot = Slot(end - 1, 0)
            slot.is_done = True
            self._append(slot)
        else:
            self._position = max(self._position, end)

    def done(self, slot: Slot) -> None:
        """Note that a record is done: what its job's file has, and what it refused, is said with the next note."""
        if slot.is_done:
            return
        slot.is_done = True
        self.held_size_bytes -= slot.size_bytes
        while self._slots and self._slots[0].is_done:
            self._position = self._slots.popleft().position + 1

    def _append(self, slot: Slot) -> None:
        self._slots.append(slot)
        if len(self._slots) < self._merge_at:
            return
        kept: deque[Slot] = deque()
        for each in self._slots:
            if kept and kept[-1].is_done and each.is_done:
                kept[-1] = each
            else:
                kept.append(each)
        self._slots, self._merge_at = kept, max(_MERGE_AT, 2 * len(kept))

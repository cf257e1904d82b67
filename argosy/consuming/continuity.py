"""Whether what a reader delivers of a partition leaves nothing out. Pure."""

from argosy.log import Batch, Gap


class Reading:
    """How far a partition was read, and under which number.

    next_read: the position expected next from the reader. gap: positions where the last reading showed no record, not
    believed yet. reading_no: the number under which the reader reads it, 0 if none; is_reading: the reader was told to
    deliver it.
    """

    __slots__ = ("gap", "is_reading", "next_read", "reading_no")

    def __init__(self) -> None:
        self.next_read = 0
        self.gap: Gap | None = None
        self.reading_no = 0
        self.is_reading = False

    def read_as(self, reading_no: int) -> None:
        """Note that the reader was told to deliver the partition, under this number."""
        self.reading_no = reading_no
        self.is_reading = True

    def read_no_more(self) -> None:
        """Note that the reader was told to stop: what it still delivers does not count."""
        self.reading_no = 0
        self.is_reading = False

    def expect(self, position: int) -> None:
        """Expect this position next from the reader."""
        self.next_read = position

    def suspect(self, gap: Gap | None) -> None:
        """Remember a gap that this reading shows and the next must confirm; None: there is none."""
        self.gap = gap


def is_continued(reading: Reading, batch: Batch) -> bool:
    """Whether the batch has all that the log holds from reading.next_read to its end. If not, the partition must be
    read again, from its position.

    The first batch after the reader went to a place (batch.is_fresh) may lack records right after its begin. Such a gap
    (reading.gap) is believed when the second reading shows it, too. When the first reading ended with the gap, with no
    record behind it, the second may also show a longer gap, as the log may have grown meanwhile: what the reader had
    fetched for the first reading cannot lie beyond the end of that reading.
    """
    if batch.begin > reading.next_read:
        reading.suspect(None)
        return False
    first = batch.records[0].position if batch.records else batch.end
    if not batch.is_fresh:
        return True
    before = reading.gap
    reading.suspect(None)
    if first <= reading.next_read:
        return True
    found = Gap(reading.next_read, first, bool(batch.records))
    if before is not None and (
        found == before or (found.begin == before.begin and first >= before.end and not before.has_record)
    ):
        return True
    reading.suspect(found)
    return False

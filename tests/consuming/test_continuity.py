"""Positions without a record are passed; a record that was dropped on the way is never passed."""

import random

import pytest

from argosy.consuming.continuity import Reading, is_continued
from argosy.log import Batch, Record


def reading_at(position: int) -> Reading:
    reading = Reading()
    reading.expect(position)
    return reading


def batch(begin: int, *positions: int, end: int = 0, is_fresh: bool = False) -> Batch:
    records = [Record(each, 0, None, b"", ()) for each in positions]
    return Batch(0, 1, records, begin, end or positions[-1] + 1, is_fresh)


def test_any_number_of_gaps_between_records_is_believed_at_once() -> None:
    assert is_continued(reading_at(5), batch(5, 5, 7, 9, 14, end=20, is_fresh=True))
    assert is_continued(reading_at(5), batch(5, 7, 9))


def test_what_is_missing_where_the_reader_has_just_gone_is_believed_at_the_second_reading() -> None:
    reading = reading_at(5)

    assert not is_continued(reading, batch(5, 8, 9, is_fresh=True))
    assert is_continued(reading, batch(5, 8, 12, is_fresh=True))


def test_a_second_reading_that_shows_another_gap_proves_nothing() -> None:
    reading = reading_at(5)

    assert not is_continued(reading, batch(5, 8, is_fresh=True))
    assert not is_continued(reading, batch(5, 9, is_fresh=True))
    assert is_continued(reading, batch(5, 5, 6, 7, 8, is_fresh=True))


def test_what_comes_behind_an_end_that_was_seen_cannot_have_been_fetched_before() -> None:
    reading = reading_at(5)

    assert not is_continued(reading, batch(5, end=8, is_fresh=True))
    assert is_continued(reading, batch(5, 11, is_fresh=True))


def test_a_batch_that_does_not_begin_where_the_last_ended_is_never_believed() -> None:
    reading = reading_at(5)

    assert [is_continued(reading, batch(7, 7, 8)) for _ in range(3)] == [False] * 3


class Reader:
    """A reader of a log with holes. It loses batches on their way, and shows what is stale right after it went to a
    place, though not to two readings one after the other.
    """

    def __init__(self, log: list[int], end: int, chance: random.Random) -> None:
        self.log = log
        self.end = end
        self.chance = chance
        self.position = 0
        self.is_fresh = True
        self.was_stale = False

    def start(self, position: int) -> None:
        self.position, self.is_fresh = position, True

    def poll(self) -> Batch | None:
        if self.chance.random() < 0.1:
            self.is_fresh = True  # paused and resumed
        begin, is_fresh, self.is_fresh = self.position, self.is_fresh, False
        ahead = [each for each in self.log if each >= begin]
        is_stale = is_fresh and not self.was_stale and len(ahead) > 1 and self.chance.random() < 0.5
        if is_stale:
            ahead = ahead[self.chance.randrange(1, len(ahead)) :]  # fetched for another place
        records = ahead[: self.chance.randrange(0, 6)]
        is_end = records == ahead and self.chance.random() < 0.5
        self.position = self.end if is_end else (records or [begin - 1])[-1] + 1
        if self.position == begin:
            return None
        found = Batch(0, 1, [Record(each, 0, None, b"", ()) for each in records], begin, self.position, is_fresh)
        if self.chance.random() < 0.1:
            return None
        self.was_stale = is_stale
        return found


@pytest.mark.parametrize("seed", range(300))
def test_whatever_is_lost_on_the_way_every_record_is_read_once_in_order(seed: int) -> None:
    chance = random.Random(seed)
    end = chance.randrange(20, 80)
    log = [each for each in range(end) if chance.random() < chance.choice((0.3, 0.9))]
    reader, reading, read, position = Reader(log, end, chance), reading_at(0), list[int](), 0

    for _ in range(3_000):
        found = reader.poll()
        if found is not None and not is_continued(reading, found):
            del read[len([each for each in read if each < position]) :]
            reading.next_read = position
            reader.start(position)
        elif found is not None:
            read += [each.position for each in found.records if each.position >= reading.next_read]
            reading.next_read = max(reading.next_read, found.end)
            position = reading.next_read if chance.random() < 0.5 else position
        elif reading.next_read == end:
            break
        elif reader.position >= end:
            reader.start(position)  # nothing more would come; a real log goes on
            del read[len([each for each in read if each < position]) :]
            reading.next_read = position

    assert read == log[: len(read)]
    assert reading.next_read == end
    assert read == log

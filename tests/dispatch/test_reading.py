"""Reading what is owned, while accepts go on."""

from collections.abc import Sequence
from typing import Any

from argosy.log import Span
from argosy.workers.dispatch.accept.intake import Move
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.reading import Reading
from tests.dispatch.claims import claims_of
from tests.harness.hand_clock import HandClock


class BusyLog:
    """Answers what it holds, and the partition's accept is answered before the caller looks at it."""

    def __init__(self, owned: Owned) -> None:
        self._owned = owned
        self.stopped: list[int] = []

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        end = self._owned.position
        self._owned.position += 3
        return {partition: Span(0, end) for partition in partitions}

    def stop(self, partition: int) -> None:
        self.stopped.append(partition)


class Moves:
    """What would be noted in Postgres of partitions that are idle."""

    def __init__(self) -> None:
        self.partitions: list[int] = []

    async def move(self, moves: list[Move]) -> None:
        self.partitions += [owned.partition for owned, _, _ in moves]


class SameLog:
    async def look(self) -> None:
        return None


async def test_a_busy_partition_is_read_on_when_it_moved_past_the_end_that_the_log_had_a_moment_ago() -> None:
    owned = Owned(3, epoch=1, buckets=(0, 1023))
    owned.is_reading, owned.position = True, 10
    reader: Any = BusyLog(owned)
    nothing: Any = None
    guard: Any = SameLog()
    intake: Any = Moves()
    clock = HandClock()
    reading = Reading(nothing, reader, intake, claims_of(owned), guard, clock, database_clock=DatabaseClock(clock))

    await reading.look([owned], lambda _: True)

    assert owned.is_reading
    assert reader.stopped == []
    assert intake.partitions == [3]

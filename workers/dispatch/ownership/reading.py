"""Read the partitions that this worker owns, each from the position that Postgres has for the log that is there.

Rules:
- Every reading of a partition has a number of its own (`Owned.reading_no`).
- A position belongs to a log (argosy/consuming/where.py). A position that the log does not hold belongs to another log,
  or records are missing. Then the partition is read from its earliest record; turns that are here already are
  recognised by their ids.
- Positions move on while the log is asked what it holds. So its end is compared with the position from before the
  question, and its beginning with the position from after the answer (`is_missing`).
- The time through which a partition is accepted is kept with its position, also while the partition is idle.
"""

from collections.abc import Callable

from argosy import telemetry
from argosy.clock import Clock
from argosy.consuming.log_guard import LogGuard
from argosy.consuming.where import is_missing, where_to_read
from argosy.log import LogReader, Span
from argosy.store.partition import Partitions
from argosy.workers.dispatch.accept.intake import Intake, Move
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.owned import Owned

_SPANS_INTERVAL_S = 1.0  # between two checks whether the log holds our positions
_THROUGH_INTERVAL_S = 5.0  # between two notes of the time through which an idle partition is accepted


class Reading:
    """The readings of this worker's partitions. Used by `Ownership` alone, with one `look` at a time."""

    def __init__(
        self,
        partitions: Partitions,
        reader: LogReader,
        intake: Intake,
        claims: Claims,
        guard: LogGuard,
        clock: Clock,
        *,
        database_clock: DatabaseClock,
    ) -> None:
        self._partitions = partitions
        self._reader = reader
        self._intake = intake
        self._claims = claims
        self._guard = guard
        self._clock = clock
        self._database_clock = database_clock
        self._spans_at_s = 0.0
        self._through_at_s = 0.0

    def stop(self, owned: Owned) -> None:
        """Read and accept nothing of this partition until it is started anew."""
        if owned.is_reading:
            owned.read_no_more()
            self._reader.stop(owned.partition)
        self._intake.forget(owned)

    async def leave(self) -> None:
        """Leave the log's group."""
        await self._reader.leave()

    async def has_joined(self) -> bool:
        """Whether the log has said what this worker is eligible for. Raises LogUnavailableError."""
        return await self._reader.has_joined()

    def is_word_old(self) -> bool:
        """Whether what the log said last about eligibility may not hold any more."""
        return self._reader.is_word_old()

    async def look(self, eligible: list[Owned], is_wanted: Callable[[Owned], bool]) -> None:
        """Check that the log is still the same, begin to read what is not read yet, and note how far the others are.

        Claims go on while the log is asked: is_wanted(owned) says whether a partition is still to be read when the log
        has answered. Raises UnavailableError, SettingError.
        """
        if not eligible:
            return
        if (replaced := await self._guard.look()) is not None:
            self._claims.begin(replaced)
            for each in eligible:
                self.stop(each)
        if new := [each for each in eligible if not each.is_reading and is_wanted(each)]:
            await self._start(new, is_wanted)
        now_s = self._clock.monotonic_s()
        if now_s - self._spans_at_s >= _SPANS_INTERVAL_S:
            self._spans_at_s = now_s
            await self._look_at_spans([each for each in eligible if each.is_reading])

    async def _start(self, new: list[Owned], is_wanted: Callable[[Owned], bool]) -> None:
        # We ask after the claim: from there on no other worker moves these positions, and the log's end only grows.
        numbers = [each.partition for each in new]
        spans = await self._reader.spans(numbers)
        begins = {partition: spans[partition].begin for partition in numbers}
        positions = await self._partitions.open_positions(self._claims.log.log_id, begins)
        for each in new:
            if not is_wanted(each):
                continue
            if each.log_id != self._claims.log.log_id:
                # Only once: later an accept in flight may be ahead of this.
                place = positions[each.partition]
                each.begin_at(self._claims.log.log_id, place.position)
                each.accept_through(place.through_s, self._clock.unix_ms() / 1_000)
            first = where_to_read(each.position, spans[each.partition])
            if first != each.position:
                await self._read_another_log(each, first, spans[each.partition])
            if is_wanted(each):
                self._intake.rewind(each)
                self._intake.restart(each)

    async def _read_another_log(self, owned: Owned, first: int, span: Span) -> None:
        await self._guard.lacks(owned.partition, owned.position, span)
        await self._intake.move([(owned, first, None)])
        owned.expect(first)

    async def _look_at_spans(self, reading: list[Owned]) -> None:
        """Compare positions with what the log holds, and note through which time partitions are accepted.

        Every record appended before asked_s is below `end`: once the position is at `end`, everything up to asked_s is
        accepted. A busy partition gets there with a later accept, which then notes it (`Owned.mark`).
        """
        if not reading:
            return
        asked_s = self._database_clock.now_s() - 1.0  # the clocks of log, database and gateways differ a little
        has_to_note = self._clock.monotonic_s() - self._through_at_s >= _THROUGH_INTERVAL_S
        if has_to_note:
            self._through_at_s = self._clock.monotonic_s()
        before = [each.position for each in reading]
        spans = await self._reader.spans([each.partition for each in reading])
        idle: list[Move] = []
        for each, position_before in zip(reading, before, strict=True):
            if each.is_void:
                continue
            span = spans[each.partition]
            each.measure(span.end)
            telemetry.PARTITION_LAG.labels(partition=str(each.partition)).set(each.lag)
            if is_missing(position_before, each.position, span):
                self.stop(each)  # records are missing: the next look starts it anew, from where the log begins
            elif has_to_note and each.position >= span.end:
                idle.append((each, None, asked_s))
            elif has_to_note and each.mark is None:
                each.put_mark(span.end, asked_s)
        if idle:
            await self._intake.move(idle)

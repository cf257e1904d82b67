"""What this worker may read and write: the log's assignment is eligibility, the claim in Postgres is ownership.

A loop compares the two every RECONCILE_INTERVAL_S and at once after a change (`decide`, pure):
  eligible and not owned → claim; owned and not eligible → let go; owned but void → claim anew.
A claim commits first and loads afterwards: positions, then the heads that wait, then the reader is started at the
position. Every claim has a number of its own, which what is polled under it carries.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from argosy import ids, telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, OwnershipLostError, UnavailableError
from argosy.log import Identity, LogReader, Span
from argosy.store.partition import Partitions
from workers.dispatch.intake import Intake, Move
from workers.dispatch.turn import Owned

log = structlog.get_logger()

_THROUGH_INTERVAL_S = 5.0  # how often an idle partition says how far it is accepted through


class Decision(NamedTuple):
    claim: list[int]
    release: list[int]


def decide(eligible: frozenset[int], owned: dict[int, Owned]) -> Decision:
    """What to claim and what to let go."""
    kept = {partition for partition, each in owned.items() if not each.is_void}
    return Decision(sorted(eligible - kept), sorted(owned.keys() - eligible))


def where_to_read(position: int | None, span: Span) -> int:
    """The first record to read. A position that the log does not hold is another log's, or records are missing: the
    partition is read from its earliest record, and what is known already is recognised by its turn ids.
    """
    if position is None or not span.begin <= position <= span.end:
        return span.begin
    return position


def in_ranges(partitions: list[int]) -> str:
    """Sorted numbers as people write them: 0-5, 8."""
    ranges: list[list[int]] = []
    for partition in partitions:
        if ranges and ranges[-1][1] == partition - 1:
            ranges[-1][1] = partition
        else:
            ranges.append([partition, partition])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


class Ownership:
    """Runs until cancelled; `owned` is read by everybody and changed only here."""

    def __init__(
        self,
        partitions: Partitions,
        reader: LogReader,
        intake: Intake,
        clock: Clock,
        *,
        owned: dict[int, Owned],
        interval_s: float,
        database_time_s: Callable[[], float],
        on_claimed: Callable[[list[Owned]], None],
        on_void: Callable[[Owned], None],
    ) -> None:
        self._partitions = partitions
        self._reader = reader
        self._intake = intake
        self._clock = clock
        self._owned = owned
        self._interval_s = interval_s
        self._database_time_s = database_time_s
        self._on_claimed = on_claimed
        self._on_void = on_void
        self._eligible: frozenset[int] = frozenset()
        # Owned partitions taken from us, and maybe given back before the loop looks: the reader has stopped them.
        self._interrupted: set[int] = set()
        self._changed = asyncio.Event()
        self._claim_no = 0
        self._through_at_s = 0.0
        self._identity = Identity("", "", 0)
        self.is_draining = False
        self.is_settled = False

    def begin(self, identity: Identity) -> None:
        self._identity = identity
        self._intake.log_id = identity.log_id
        self._intake.partition_count = identity.partition_count

    def eligible(self, partitions: frozenset[int]) -> None:
        """The log's word on what should be ours."""
        self._interrupted |= self._owned.keys() - partitions
        self._eligible = partitions
        self._changed.set()

    def lost(self, owned: list[Owned]) -> None:
        """A fence or a position did not hold: what was held is void, and is claimed anew if it should still be ours."""
        for each in owned:
            telemetry.FENCES_REFUSED.inc()
            log.warning(telemetry.PARTITION_VOIDED, partition=each.partition, epoch=each.epoch)
            self._void(each)
        self._changed.set()

    def restart(self, owned: Owned) -> None:
        """Read again from the position, under a new claim number of the same claim."""
        self._claim_no += 1
        owned.claim = self._claim_no
        self._reader.start(owned.partition, owned.position, owned.claim)

    async def run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._reconcile()
            except UnavailableError as error:
                log.warning(telemetry.STORE_UNAVAILABLE, error=str(error))
            except OwnershipLostError:
                raise
            except ArgosyError as error:
                log.error(telemetry.TASK_FAILED, task="ownership", error=str(error))
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def release_all(self) -> None:
        """Let everything go; for the end of a drain."""
        await self._release(list(self._owned))

    async def _reconcile(self) -> None:
        decision = decide(frozenset() if self.is_draining else self._eligible, self._owned)
        if decision.release:
            await self._release(decision.release)
        for partition in self._interrupted & self._owned.keys():
            self._intake.rewind(self._owned[partition])
            self.restart(self._owned[partition])
        self._interrupted.clear()
        if decision.claim:
            await self._claim(decision.claim)
        self.is_settled = self._eligible == self._owned.keys()
        telemetry.PARTITIONS_OWNED.set(len(self._owned))
        now_s = self._clock.monotonic_s()
        if self._owned and now_s - self._through_at_s >= _THROUGH_INTERVAL_S:
            self._through_at_s = now_s
            await self._note_through()

    async def _release(self, partitions: list[int]) -> None:
        gone = [self._owned[partition] for partition in partitions]
        for each in gone:
            self._reader.stop(each.partition)
            self._void(each)
        await self._partitions.release([each.partition for each in gone], [each.epoch for each in gone])
        log.info(telemetry.PARTITIONS_RELEASED, partitions=in_ranges(partitions))

    def _void(self, each: Owned) -> None:
        each.is_void = True
        if self._owned.get(each.partition) is each:
            del self._owned[each.partition]
        self._intake.forget(each)
        self._on_void(each)

    async def _claim(self, partitions: list[int]) -> None:
        for partition in partitions:
            stale = self._owned.get(partition)
            if stale is not None:
                self._void(stale)
        epochs = await self._partitions.claim(partitions)
        # After the claim: from here on nobody else moves these positions, and the log's end only grows.
        spans = await self._reader.spans(partitions)
        positions = await self._partitions.open_positions(
            self._identity.log_id, {partition: spans[partition].begin for partition in partitions}
        )
        claimed = []
        for partition in partitions:
            self._claim_no += 1
            each = Owned(
                partition, epochs[partition], self._claim_no, ids.buckets_of(partition, self._identity.partition_count)
            )
            each.position = each.next_read = positions[partition]
            self._owned[partition] = each
            claimed.append(each)
        telemetry.CLAIMS.inc(len(claimed))
        log.info(telemetry.PARTITIONS_CLAIMED, partitions=in_ranges(partitions))
        self._on_claimed(claimed)
        for each in claimed:
            first = where_to_read(each.position, spans[each.partition])
            if first != each.position:
                log.error(
                    telemetry.LOG_REPLACED,
                    partition=each.partition,
                    position=each.position,
                    log_begins_at=spans[each.partition].begin,
                    log_ends_at=spans[each.partition].end,
                    consequence="read from the earliest record; what neither the log nor Postgres holds is lost",
                )
                await self._intake.move([(each, first, None)])
                if each.is_void:
                    continue
                each.next_read = first
            self._reader.start(each.partition, each.position, each.claim)

    async def _note_through(self) -> None:
        """Every record appended before `asked_s` is below `end`: once the position is there, everything up to then
        is accepted. A busy partition gets there with a later accept.
        """
        asked_s = self._database_time_s() - 1.0  # the clocks of log, database and gateways differ a little
        spans = await self._reader.spans(list(self._owned))
        idle: list[Move] = []
        for partition, span in spans.items():
            each = self._owned.get(partition)
            if each is None:
                continue
            telemetry.PARTITION_LAG.labels(partition=str(partition)).set(max(0, span.end - each.position))
            if each.position >= span.end:
                idle.append((each, None, asked_s))
            elif each.mark is None:
                each.mark = (span.end, asked_s)
        if idle:
            await self._intake.move(idle)

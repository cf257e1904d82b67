"""What this worker may read and write: the log's assignment is eligibility, the claim in Postgres is ownership.

Two loops run every RECONCILE_INTERVAL_S, and at once after a change. Neither waits for the other:
- The first claims, and needs Postgres alone (`decide`, pure). A partition that is eligible and not owned: claim it.
  Owned but void: claim it anew. Owned and not eligible: read it no more, but serve what memory and Postgres hold of it
  until another worker claims it. The worker claims nothing by an old word of the log: after a stop of this process
  other workers may be eligible for the partition, and own it by right. Partitions that no living worker owns are
  adopted (`to_adopt`): each living worker takes its part, whatever the log does. This loop makes all claims of this
  worker, one after the other, so two claims of one partition never overlap.
- The second reads what is eligible and owned, and looks at the log (reading.py). It waits for brokers that are away.
A claim commits first and loads afterwards: positions, what the former owner left (takeover.py), then the heads that
wait. Whenever the worker begins to read a partition it gives the reading a new number, and every batch that is polled
under it carries that number.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

import structlog

from argosy import ids, telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import UnavailableError
from argosy.ranges import in_ranges
from argosy.rounds import Rounds
from argosy.store.partition import Claimed, Orphan, Partitions
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.changes import AfterClaims, NewClaim
from argosy.workers.dispatch.ownership.known_workers import NEW_S, KnownWorkers
from argosy.workers.dispatch.ownership.readiness import Readiness
from argosy.workers.dispatch.ownership.reading import Reading
from argosy.workers.dispatch.ring import RingWorker, adopter

log = structlog.get_logger()

_ORPHANS_INTERVAL_S = 30.0  # a safety net: a worker's death, or a partition given away, makes all others look at once


class Decision(NamedTuple):
    claim: list[int]
    read_no_more: list[int]


def decide(eligible: frozenset[int], owned: dict[int, Owned], *, is_word_old: bool) -> Decision:
    """Decide which partitions to claim, and which owned ones not to read. is_word_old: others may be eligible now."""
    kept = {partition: each for partition, each in owned.items() if not each.is_void}
    return Decision(
        claim=[] if is_word_old else sorted(eligible - kept.keys()),
        read_no_more=sorted(p for p, each in kept.items() if p not in eligible and each.is_reading),
    )


def to_adopt(orphans: Sequence[Orphan], workers: Sequence[RingWorker], lane: str, me: uuid.UUID) -> list[Orphan]:
    """Return those of the orphans (partitions that no living worker owns) that this worker is to take over."""
    return [each for each in orphans if adopter(each.partition, lane, workers) == me]


class Ownership:
    """The loops that claim and read partitions; `run` goes on until cancelled. The claims are changed only here."""

    def __init__(
        self,
        partitions: Partitions,
        reading: Reading,
        claims: Claims,
        fleet: KnownWorkers,
        clock: Clock,
        settings: Settings,
        then: AfterClaims,
    ) -> None:
        self._partitions = partitions
        self._reading = reading
        self._clock = clock
        self._claims = claims
        self._owned = claims.owned
        self.fleet = fleet
        self._interval_s = settings.reconcile_interval_s
        self._then = then
        self._eligible: frozenset[int] = frozenset()
        self._has_to_look_for_orphans = False
        self._orphans_at_s = clock.monotonic_s()
        self._has_to_look_for_losses = False
        self._changed = asyncio.Event()
        self._has_to_read = asyncio.Event()
        self._readiness = Readiness(clock)
        self._lineage = 0
        self.is_draining = False

    @property
    def owned(self) -> Collection[Owned]:
        """The partitions that this worker owns."""
        return self._owned.values()

    async def leave(self) -> None:
        """Claim and read nothing any more, and leave the log's group: others become eligible."""
        self.is_draining = True
        await self._reading.leave()

    def eligible(self, partitions: frozenset[int]) -> None:
        """Take in the partitions for which the log says this worker is eligible.

        A partition that the log takes away and gives back before the loop looks is read anew from its position.
        """
        if partitions != self._eligible:
            telemetry.REBALANCES.inc()
        for partition in self._owned.keys() - partitions:
            self._reading.stop(self._owned[partition])
        self._eligible = partitions
        self._readiness.has_joined = self._readiness.has_joined or bool(partitions)
        self._changed.set()
        self._has_to_read.set()

    def workers(self, workers: list[RingWorker]) -> None:
        """Take in what is known of the fleet's workers: a worker came or went, or left partitions."""
        self.fleet.told(workers)
        self._has_to_look_for_orphans = True
        self._changed.set()

    def lineage(self, lineage: int) -> None:
        """Take in the lineage of the database. Another one than before means that the database was promoted or
        restored: everything that this worker owns becomes void.
        """
        before, self._lineage = self._lineage, lineage
        if before not in (0, lineage):
            log.error(telemetry.LINEAGE_CHANGED, before=before, now=lineage)
            self.lost(list(self._owned.values()))

    def claimed_by_others(self, partitions: Sequence[int]) -> None:
        """Hear, by a poke, that another worker has claimed these partitions."""
        if self._owned.keys() & set(partitions):
            self._has_to_look_for_losses = True
            self._changed.set()

    def lost(self, owned: list[Owned]) -> None:
        """Void partitions whose fence or position did not hold. The loop claims those anew that are still eligible."""
        for each in owned:
            telemetry.FENCES_REFUSED.inc()
            log.warning(telemetry.PARTITION_VOIDED, partition=each.partition, epoch=each.epoch)
        self._void(owned)
        self._changed.set()

    def lacks(self) -> str:
        """Say in words what this worker waits for before it is ready; empty when it is. From any thread."""
        return self._readiness.lacks(self._eligible, self._owned)

    async def run(self) -> None:
        loops = (
            self._again_and_again(self._claim, self._changed),
            self._again_and_again(self._read, self._has_to_read),
            self._readiness.join(self._reading.has_joined),
        )
        tasks = [asyncio.create_task(each) for each in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def give_all(self) -> list[Owned]:
        """Give up all partitions that are left, at the end of a drain: no worker owns them until one claims them."""
        left = list(self._owned.values())
        self._void(left)
        return left

    async def _again_and_again(self, work: Callable[[], Awaitable[None]], has_to: asyncio.Event) -> None:
        rounds = Rounds(f"ownership {work.__name__.strip('_')}", self._clock)
        while True:
            has_to.clear()
            async with rounds:
                await work()
            with contextlib.suppress(TimeoutError):
                is_soon = self._has_to_look_for_orphans  # an unknown owner counts as living for NEW_S: look again then
                async with asyncio.timeout(min(self._interval_s, NEW_S) if is_soon else self._interval_s):
                    await has_to.wait()

    async def _claim(self) -> None:
        if not self.fleet.are_known:
            return  # until the first look at the fleet it is not known whether the former owner of a partition lives
        if self._has_to_look_for_losses or any(partition not in self._eligible for partition in self._owned):
            await self._look_for_losses()
        eligible = frozenset() if self.is_draining else self._eligible
        decision = decide(eligible, self._owned, is_word_old=self._reading.is_word_old())
        for partition in decision.read_no_more:
            self._reading.stop(self._owned[partition])
        if decision.claim:
            await self._claim_eligible(decision.claim)
        if not self.is_draining and self._may_be_orphans():
            await self._look_for_orphans()
        self._readiness.has_claimed = True
        telemetry.PARTITIONS_OWNED.set(len(self._owned))

    async def _read(self) -> None:
        wanted = [each for _, each in sorted(self._owned.items()) if self._is_wanted(each)]
        try:
            await self._reading.look(wanted, self._is_wanted)
        except UnavailableError as error:
            self._readiness.log_error = str(error)
            raise
        if self._readiness.has_joined and self._eligible <= self._owned.keys():
            self._readiness.has_looked, self._readiness.log_error = True, ""

    def _is_wanted(self, owned: Owned) -> bool:
        """Whether this worker should read the partition now."""
        is_ours = self._owned.get(owned.partition) is owned and not owned.is_void
        return is_ours and owned.partition in self._eligible and not self.is_draining

    async def _look_for_losses(self) -> None:
        """Void the partitions that another worker has claimed, as Postgres has it.

        This worker may not hear otherwise of a claim of a partition that it does not read.
        """
        self._has_to_look_for_losses = False
        try:
            mine = await self._partitions.owned()
        except Exception:
            self._has_to_look_for_losses = True
            raise
        gone = [each for each in self._owned.values() if mine.get(each.partition) != each.epoch]
        if gone:
            log.info(telemetry.PARTITIONS_TAKEN, partitions=in_ranges(sorted(each.partition for each in gone)))
            self._void(gone)

    def _may_be_orphans(self) -> bool:
        return (
            self._has_to_look_for_orphans
            or self.fleet.is_anyone_draining
            or self._clock.monotonic_s() - self._orphans_at_s > _ORPHANS_INTERVAL_S
        )

    async def _look_for_orphans(self) -> None:
        self._has_to_look_for_orphans = False
        self._orphans_at_s = self._clock.monotonic_s()
        try:
            found = await self._partitions.orphans([*self.fleet.living, self.fleet.worker_id])
            orphans = [each for each in found if each.owner is None or not self.fleet.is_living(each.owner)]
            if len(orphans) < len(found):  # an owner that we do not know yet may have started just now: look again soon
                self._has_to_look_for_orphans = True
            mine = to_adopt(orphans, self.fleet.all, self.fleet.lane, self.fleet.worker_id)
            asked_s = self._clock.monotonic_s()
            adopted = await self._partitions.adopt(mine) if mine else {}
        except Exception:
            self._has_to_look_for_orphans = True
            raise
        if adopted:
            telemetry.ADOPTIONS.inc(len(adopted))
            log.info(telemetry.PARTITIONS_ADOPTED, partitions=in_ranges(sorted(adopted)))
            self._own(adopted, asked_s)

    async def _claim_eligible(self, partitions: list[int]) -> None:
        self._void([self._owned[partition] for partition in partitions if partition in self._owned])
        asked_s = self._clock.monotonic_s()
        claimed = await self._partitions.claim(partitions)
        telemetry.CLAIMS.inc(len(claimed))
        log.info(telemetry.PARTITIONS_CLAIMED, partitions=in_ranges(partitions))
        self._own(claimed, asked_s)

    def _own(self, claimed: dict[int, Claimed], asked_s: float) -> None:
        new = []
        for partition, claim in sorted(claimed.items()):
            if partition in self._owned:  # we adopted a partition that we had lost without having heard of it
                self._void([self._owned[partition]])
            each = Owned(partition, claim.epoch, ids.buckets_of(partition, self._claims.partition_count))
            each.confirm(asked_s)
            self._owned[partition] = each
            new.append(NewClaim(each, claim))
        self._has_to_read.set()
        self._then.after_claim(new)
        if self.is_draining:  # the claim was sent before the drain began
            self._void([each for each, _ in new])

    def _void(self, gone: list[Owned]) -> None:
        """Void partitions, each once per claim, however many callers find out that it is lost.

        A second time would leave a note that nothing of the partition runs here.
        """
        gone = [each for each in gone if self._owned.get(each.partition) is each]
        for each in gone:
            self._reading.stop(each)
            each.lose()
            del self._owned[each.partition]
        if gone:
            self._then.after_loss(gone)

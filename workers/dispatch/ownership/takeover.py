"""The new owner's side of a hand-over: what a worker takes over from the former owner, and what it waits for.

Rules (one place each, as pure decisions):
- While the former owner lives, the new owner waits for its note, HANDOVER_NOTE_S at the most. It runs nothing that
  waits in Postgres before the note says what still runs at the former owner. It does not wait for a dead one.
- When the new owner loses the partition before it knows that, it hands the partition on once it knows.
- A turn that the note lists is held until its runner says that it is done, dies, or HANDOVER_S has passed (from a
  cancel on: CANCEL_CLEANUP_S). Every other turn of the partition goes on at once, with the same attempt when the last
  owner's note is settled.
- The new owner writes down that the former owner died (partitions.crashed_at) before the partition opens: it concerns
  turns that may wake up long after, at another owner (execution/crash_rule.py).
- A note of an owner before the last one says where steps run, but not how turns go on: the last owner may have taken
  them up again, and died.
- A held turn of a partition that was lost is not released here: it goes into the note for the next owner.
"""

import asyncio
import math
import uuid
from typing import NamedTuple

from argosy.clock import Clock
from argosy.config import Settings
from argosy.ranges import in_ranges
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of
from argosy.store.partition import Claimed, Note, Partitions
from argosy.workers.dispatch.elsewhere import Elsewhere, HeldTurn
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.ownership.changes import AfterTakeover, NewClaim, Released
from argosy.workers.dispatch.ownership.known_workers import KnownWorkers

_LOOK_S = 0.02  # the turns of a partition wait for its note
_RETRY_S = 0.25  # Postgres may be back at any moment
_HELD_LOOK_S = 0.1  # runners mostly say when they are done: this finds those that died


class AwaitedNote(NamedTuple):
    """A note that the former owner of a claimed partition may still leave. until_s: the end of the wait, monotonic."""

    owned: Owned
    claim: Claimed
    until_s: float


def opens_as(note: Note | None, former_epoch: int | None, *, is_former_alive: bool, has_time: bool) -> Resume | None:
    """Return how the partition's turns that are running in Postgres go on; None: not known yet. note: the newest."""
    if former_epoch is None:
        return Resume.UNHEARD  # no worker ever owned it
    if note is not None and note.epoch == former_epoch:
        return Resume.MOVED if note.is_settled else Resume.UNHEARD
    if not is_former_alive:
        return Resume.CRASHED
    return None if has_time else Resume.UNHEARD


def resumes_as(note: Note, runner: str, claim: Claimed, opened_as: Resume) -> Resume:
    """Return how a turn that the note lists goes on when its runner says that it is done: with the same attempt, if the
    note is the last owner's and is settled, or that owner ran the turn itself; otherwise as the partition opened.
    """
    is_last_word = note.epoch == claim.former_epoch
    is_writer = runner == f"{claim.former_owner}/{claim.former_epoch}"
    return Resume.MOVED if is_last_word and (note.is_settled or is_writer) else opened_as


class Takeover:
    """Claimed partitions that wait to be opened, and turns that are held; `run` goes on until cancelled."""

    def __init__(
        self,
        partitions: Partitions,
        fleet: KnownWorkers,
        elsewhere: Elsewhere,
        clock: Clock,
        settings: Settings,
        then: AfterTakeover,
    ) -> None:
        self._partitions = partitions
        self._clock = clock
        self._rounds = Rounds("takeover", clock)
        self._note_s = settings.handover_note_s
        self._bound_s = settings.handover_s
        self._cancel_s = settings.cancel_cleanup_s
        self._fleet = fleet
        self._elsewhere = elsewhere
        self._then = then
        # By claim, not by partition: for a claim that was lost before the former owner's note came, a note of our own
        # is still to be written.
        self._waiting: dict[Owned, AwaitedNote] = {}
        self._work = asyncio.Event()
        self._known = asyncio.Event()
        self._held = elsewhere.held

    def begin(self, claimed: list[NewClaim]) -> None:
        """Find out what the former owners of these partitions left, then open them."""
        until_s = self._clock.monotonic_s() + self._note_s
        self._waiting.update({owned: AwaitedNote(owned, claim, until_s) for owned, claim in claimed})
        self._work.set()

    def said(self, turn_id: uuid.UUID, runner: str) -> None:
        """Take in a runner's word that no step of the turn runs there any more."""
        held = self._held.get(turn_id)
        if held is not None and held.runner == runner:
            self._release(turn_id, held, held.resume)

    def hurry(self, turn_id: uuid.UUID) -> None:
        """Shorten a held turn's wait for its runner, because it was cancelled. May be called again and again."""
        held = self._held[turn_id]
        until_s = self._clock.monotonic_s() + self._cancel_s
        if not held.is_hurried and until_s < held.until_s:
            held = held._replace(until_s=until_s)
        self._held[turn_id] = held._replace(is_hurried=True)

    def has_doubts(self, owned: Owned) -> bool:
        """Whether a turn of the partition is held that begins again when its runner is done."""
        return any(each.owned is owned and each.resume is not Resume.MOVED for each in self._held.values())

    def forget(self, owned: Owned) -> list[tuple[uuid.UUID, str]]:
        """Forget the held turns of a partition that is not ours any more. Return them, for our note."""
        mine = {turn_id: each for turn_id, each in self._held.items() if each.owned is owned}
        for turn_id in mine:
            del self._held[turn_id]
        return [(turn_id, each.runner) for turn_id, each in mine.items()]

    async def until_known(self, owned: Owned) -> None:
        """Wait until it is known what the former owner left of a partition (HANDOVER_NOTE_S at the most)."""
        while owned in self._waiting:
            await self._known.wait()

    async def run(self) -> None:
        held_rounds = Rounds("takeover held", self._clock)  # its own, so that a success of one does not hide the other
        while True:
            async with self._rounds:
                if self._waiting:
                    await self.look_for_notes()
            async with held_rounds:
                if self._held:
                    await self.look_after_held()
            self._work.clear()
            if self._waiting:
                await self._clock.sleep(_LOOK_S)
            elif self._held:
                await self._clock.sleep(_HELD_LOOK_S)
            else:
                await self._work.wait()

    async def look_after_held(self) -> None:
        """Release what is held for runners that are gone, or late."""
        now_s = self._clock.monotonic_s()
        late = {turn_id for turn_id, each in self._held.items() if now_s >= each.until_s}
        gone = {turn_id: each for turn_id, each in self._held.items() if not self._fleet.is_living(each.runner_id)}
        if gone:
            # What a dead runner said last was committed before it ended: it counts, even when we have not read it yet.
            notes = await self._notes(sorted({each.owned.partition for each in gone.values()}), None)
            if notes is None:
                gone, notes = {}, []
            unsaid = {running for note in notes for running in note.running}
            for turn_id, each in gone.items():
                if self._held.get(turn_id) is each:
                    has_said = (turn_id, each.runner) not in unsaid
                    self._release(turn_id, each, each.resume if has_said else Resume.UNHEARD)
        for turn_id in late & self._held.keys():
            self._release(turn_id, self._held[turn_id], Resume.UNHEARD)

    async def _notes(self, partitions: list[int], unreadable: list[Note] | None) -> list[Note] | None:
        """Return the notes of these partitions; None: they cannot be read now; unreadable: they never can be."""
        try:
            return await self._partitions.notes(partitions)
        except Exception as error:
            return None if await self._is_for_now(error, partitions) else unreadable

    def _release(self, turn_id: uuid.UUID, held: HeldTurn, resume: Resume) -> None:
        if held.owned.is_void:
            return
        del self._held[turn_id]
        self._then.after_release(Released(turn_id, held.owned, resume))

    async def look_for_notes(self) -> None:
        """Read what former owners left, and open the partitions of which all is known."""
        asked = dict(self._waiting)
        notes = await self._notes(sorted({owned.partition for owned in asked}), [])
        if notes is None:
            return
        now_s = self._clock.monotonic_s()
        known: dict[Owned, tuple[Resume, Note | None]] = {}
        for owned, each in asked.items():
            # Only the newest note counts: it passes on what older ones said. When the last owner died without a note,
            # the newest is one from before it.
            mine = (note for note in notes if note.partition == owned.partition)
            newest = max(mine, key=lambda note: note.epoch, default=None)
            former = each.claim.former_owner
            resume = opens_as(
                newest,
                each.claim.former_epoch if former is not None else None,
                is_former_alive=former is not None and self._fleet.is_living(former),
                has_time=now_s < each.until_s,
            )
            if resume is not None:
                known[owned] = resume, newest
        crashed_at_s = await self._crashes({owned: resume for owned, (resume, _) in known.items()})
        if crashed_at_s is None:
            return
        opened = []
        for owned, (resume, newest) in known.items():
            claim = self._waiting.pop(owned).claim
            owned.inherit(resume, crashed_at_s.get(owned.partition, 0.0))
            if newest is not None:
                self._hold(owned, newest, claim)
            if not owned.is_void:
                owned.open()
                opened.append(owned)
        self._known.set()
        self._known = asyncio.Event()
        if opened:
            self._then.after_opening(opened)

    async def _crashes(self, known: dict[Owned, Resume]) -> dict[int, float] | None:
        """Return when an owner of each of these partitions last died; None: Postgres cannot tell now.

        A death that was just found out is written down first, whether the partition is still ours or not: before the
        partition opens, and before our own note to the next owner.
        """
        if not known:
            return {}
        partitions = sorted({owned.partition for owned in known})
        dead = sorted({owned.partition for owned, resume in known.items() if resume is Resume.CRASHED})
        try:
            return await self._partitions.crashes(partitions, dead)
        except Exception as error:
            # When Postgres can never tell, assume a death after which nothing was written.
            return None if await self._is_for_now(error, partitions) else dict.fromkeys(partitions, math.inf)

    async def _is_for_now(self, error: Exception, partitions: list[int]) -> bool:
        """Whether Postgres may answer later what it did not answer now. Logs the error and pauses; raises an error that
        ends the process.
        """
        fault = fault_of(error)
        if fault is Fault.END:
            raise error
        self._rounds.say(error, partitions=in_ranges(partitions))
        await self._clock.sleep(_RETRY_S)
        return fault in (Fault.AWAY, Fault.SLOW)

    def _hold(self, owned: Owned, note: Note, claim: Claimed) -> None:
        """Hold the turns that the note lists. Whether their runners live is checked later, with all held turns."""
        until_s = self._clock.monotonic_s() + self._bound_s
        for turn_id, runner in note.running:
            if owned.is_void and self._elsewhere.is_held(turn_id):
                continue  # a newer claim of ours holds it
            resume = resumes_as(note, runner, claim, owned.resume)
            self._held[turn_id] = HeldTurn(owned, runner, until_s, resume)

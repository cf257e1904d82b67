"""What a new owner takes over from the one before, and what it waits for.

Rules (one place each, as pure decisions):
- While the former owner lives, its note is waited for (HANDOVER_NOTE_S at the most): nothing that waits in Postgres is
  run before it says what still runs there. Who is dead cannot say anything, and is not waited for.
- A partition that is lost before that is known is handed on when it is.
- A turn of the note is held until its runner says that it is done, dies, or HANDOVER_S has passed (from a cancel on:
  CANCEL_CLEANUP_S). Every other turn of
  the partition goes on at once, and none of them begins again when there is a note.
- That the former owner died is written down before the partition opens (partitions.crashed_at): it concerns turns that
  may wake up long after, at another owner (execution/crash_rule.py).
- A note that is older than the last owner's says where steps run, not how turns go on: that owner may have taken them
  up again, and died.
- What is held of a partition that was lost is the next owner's to release: it stays for the note.
"""

import asyncio
import math
import uuid
from collections.abc import Callable, Iterable
from typing import NamedTuple

from argosy.clock import Clock
from argosy.ranges import in_ranges
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of
from argosy.store.partition import Claimed, Note, Partitions
from argosy.workers.dispatch.turn import Owned, Resume

_LOOK_S = 0.02
_RETRY_S = 0.25
_HELD_LOOK_S = 0.1
_NOBODY = uuid.UUID(int=0)


class HeldTurn(NamedTuple):
    """A turn of which a step still runs elsewhere. runner: WORKER/EPOCH; resume: how it goes on then; is_hurried: it
    is cancelled.
    """

    owned: Owned
    runner: str
    until_s: float
    resume: Resume
    is_hurried: bool = False

    @property
    def runner_id(self) -> uuid.UUID:
        """Nobody, when the note does not name one."""
        try:
            return uuid.UUID(self.runner.partition("/")[0])
        except ValueError:
            return _NOBODY


class Waiting(NamedTuple):
    """A claimed partition whose former owner may still have something to say."""

    owned: Owned
    claim: Claimed
    until_s: float


def opens_as(note: Note | None, former_epoch: int | None, *, is_former_alive: bool, has_time: bool) -> Resume | None:
    """How turns that are running in Postgres go on; None: not known yet. note: the newest that is there."""
    if former_epoch is None:
        return Resume.UNHEARD  # nobody ever had it
    if note is not None and note.epoch == former_epoch:
        return Resume.MOVED if note.is_settled else Resume.UNHEARD
    if not is_former_alive:
        return Resume.CRASHED
    return None if has_time else Resume.UNHEARD


def resumes_as(note: Note, runner: str, claim: Claimed, opened_as: Resume) -> Resume:
    """How a turn of the note goes on when its runner says that it is done: with the same attempt if the last owner ran
    it to that moment, or says that whatever it passed on does.
    """
    is_last_word = note.epoch == claim.former_epoch
    is_writer = runner == f"{claim.former_owner}/{claim.former_epoch}"
    return Resume.MOVED if is_last_word and (note.is_settled or is_writer) else opened_as


class Takeover:
    """From a claim to its opening; `run` until cancelled.

    is_living(worker_id): by its signs of life; ask(former owner → partitions) tells them that they are asked;
    on_open(list) is called when what waits in Postgres may be run; on_released(turn_id, owned, resume) when a held
    turn may.
    """

    def __init__(
        self,
        partitions: Partitions,
        clock: Clock,
        *,
        note_s: float,
        bound_s: float,
        cancel_s: float,
        is_living: Callable[[uuid.UUID], bool],
        ask: Callable[[dict[uuid.UUID, list[int]]], None],
        on_open: Callable[[list[Owned]], None],
        on_released: Callable[[uuid.UUID, Owned, Resume], None],
    ) -> None:
        self._partitions = partitions
        self._clock = clock
        self._rounds = Rounds("takeover", clock)
        self._note_s = note_s
        self._bound_s = bound_s
        self._cancel_s = cancel_s
        self._is_living = is_living
        self._ask = ask
        self._on_open = on_open
        self._on_released = on_released
        # By claim, not by partition: one that was lost before its former owner spoke still has a note to write.
        self._waiting: dict[Owned, Waiting] = {}
        self._work = asyncio.Event()
        self._known = asyncio.Event()
        self.held: dict[uuid.UUID, HeldTurn] = {}

    def begin(self, claimed: list[tuple[Owned, Claimed]]) -> None:
        """Find out what former owners left, then open."""
        until_s = self._clock.monotonic_s() + self._note_s
        self._waiting.update({owned: Waiting(owned, claim, until_s) for owned, claim in claimed})
        self._ask(_by_owner(claimed))
        self._work.set()

    def is_held(self, turn_id: uuid.UUID) -> bool:
        held = self.held.get(turn_id)
        return held is not None and not held.owned.is_void

    def said(self, turn_id: uuid.UUID, runner: str) -> None:
        """A runner says that no step of the turn runs there any more."""
        held = self.held.get(turn_id)
        if held is not None and held.runner == runner:
            self._release(turn_id, held, held.resume)

    def hurry(self, turn_id: uuid.UUID) -> None:
        """A held turn is cancelled: it does not wait for its runner for long. May be called again and again."""
        held = self.held[turn_id]
        until_s = self._clock.monotonic_s() + self._cancel_s
        if not held.is_hurried and until_s < held.until_s:
            held = held._replace(until_s=until_s)
        self.held[turn_id] = held._replace(is_hurried=True)

    def has_doubts(self, owned: Owned) -> bool:
        """Whether a turn is held that begins again when its runner is done."""
        return any(each.owned is owned and each.resume is not Resume.MOVED for each in self.held.values())

    def forget(self, owned: Owned) -> list[tuple[uuid.UUID, str]]:
        """The partition is not ours any more: what was held, for the note to the next owner."""
        mine = {turn_id: each for turn_id, each in self.held.items() if each.owned is owned}
        for turn_id in mine:
            del self.held[turn_id]
        return [(turn_id, each.runner) for turn_id, each in mine.items()]

    async def until_known(self, owned: Owned) -> None:
        """Returns when it is known what the former owner left of a partition (HANDOVER_NOTE_S at the most)."""
        while owned in self._waiting:
            await self._known.wait()

    async def run(self) -> None:
        held_rounds = Rounds("takeover held", self._clock)  # one that is well does not hide that the other fails
        while True:
            async with self._rounds:
                if self._waiting:
                    await self._look_for_notes()
            async with held_rounds:
                if self.held:
                    await self._look_after_held()
            self._work.clear()
            if self._waiting:
                await self._clock.sleep(_LOOK_S)
            elif self.held:
                await self._clock.sleep(_HELD_LOOK_S)
            else:
                await self._work.wait()

    async def _look_after_held(self) -> None:
        now_s = self._clock.monotonic_s()
        late = {turn_id for turn_id, each in self.held.items() if now_s >= each.until_s}
        gone = {turn_id: each for turn_id, each in self.held.items() if not self._is_living(each.runner_id)}
        if gone:
            # Its last words were committed before it ended: they count, whether we have come to read them or not.
            notes = await self._notes(sorted({each.owned.partition for each in gone.values()}), None)
            if notes is None:
                gone, notes = {}, []
            unsaid = {running for note in notes for running in note.running}
            for turn_id, each in gone.items():
                if self.held.get(turn_id) is each:
                    has_said = (turn_id, each.runner) not in unsaid
                    self._release(turn_id, each, each.resume if has_said else Resume.UNHEARD)
        for turn_id in late & self.held.keys():
            self._release(turn_id, self.held[turn_id], Resume.UNHEARD)

    async def _notes(self, partitions: list[int], unreadable: list[Note] | None) -> list[Note] | None:
        """None: they cannot be read now. unreadable: what stands for those that can never be read."""
        try:
            return await self._partitions.notes(partitions)
        except Exception as error:
            return None if await self._is_for_now(error, partitions) else unreadable

    def _release(self, turn_id: uuid.UUID, held: HeldTurn, resume: Resume) -> None:
        if held.owned.is_void:
            return
        del self.held[turn_id]
        self._on_released(turn_id, held.owned, resume)

    async def _look_for_notes(self) -> None:
        asked = dict(self._waiting)
        notes = await self._notes(sorted({owned.partition for owned in asked}), [])
        if notes is None:
            return
        now_s = self._clock.monotonic_s()
        known: dict[Owned, tuple[Resume, Note | None]] = {}
        for owned, each in asked.items():
            # The newest counts alone: it passes on what older ones said. One whose writer died is the one before it.
            mine = (note for note in notes if note.partition == owned.partition)
            newest = max(mine, key=lambda note: note.epoch, default=None)
            former = each.claim.former_owner
            resume = opens_as(
                newest,
                each.claim.former_epoch if former is not None else None,
                is_former_alive=former is not None and self._is_living(former),
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
            owned.resume, owned.crashed_at_s = resume, crashed_at_s.get(owned.partition, 0.0)
            if newest is not None:
                self._hold(owned, newest, claim)
            if not owned.is_void:
                owned.is_open = True
                opened.append(owned)
        self._known.set()
        self._known = asyncio.Event()
        if opened:
            self._on_open(opened)

    async def _crashes(self, known: dict[Owned, Resume]) -> dict[int, float] | None:
        """When owners of these partitions died last; None: that cannot be told now. A death that was found out just now
        is written down before anybody hears of it, be the partition ours or not: before our own note to the next owner.
        """
        if not known:
            return {}
        partitions = sorted({owned.partition for owned in known})
        dead = sorted({owned.partition for owned, resume in known.items() if resume is Resume.CRASHED})
        try:
            return await self._partitions.crashes(partitions, dead)
        except Exception as error:
            # What can never be told counts as a death that nothing was written after.
            return None if await self._is_for_now(error, partitions) else dict.fromkeys(partitions, math.inf)

    async def _is_for_now(self, error: Exception, partitions: list[int]) -> bool:
        """Whether what Postgres did not tell may be told later; said and waited out. Raises what ends the process."""
        fault = fault_of(error)
        if fault is Fault.END:
            raise error
        self._rounds.say(error, partitions=in_ranges(partitions))
        await self._clock.sleep(_RETRY_S)
        return fault in (Fault.AWAY, Fault.SLOW)

    def _hold(self, owned: Owned, note: Note, claim: Claimed) -> None:
        """Whose runner does not live is found out as for every held turn."""
        until_s = self._clock.monotonic_s() + self._bound_s
        for turn_id, runner in note.running:
            if owned.is_void and self.is_held(turn_id):
                continue  # by a newer claim
            resume = resumes_as(note, runner, claim, owned.resume)
            self.held[turn_id] = HeldTurn(owned, runner, until_s, resume)


def _by_owner(claimed: Iterable[tuple[Owned, Claimed]]) -> dict[uuid.UUID, list[int]]:
    found: dict[uuid.UUID, list[int]] = {}
    for owned, claim in claimed:
        if claim.former_owner is not None:
            found.setdefault(claim.former_owner, []).append(owned.partition)
    return found

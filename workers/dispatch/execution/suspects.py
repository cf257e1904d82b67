"""Decides when the accused turns of one process begin. Pure: it is told what happened and what time it is.

Rules:
- One group is on trial at a time. Beside it runs no turn that a crash accused lately and that is not told apart from
  the group yet: otherwise a turn that kills would let the group pay for it, again and again. Turns that nothing is
  known against start and run as ever.
- Turns of a first or second crash begin at once, or, while a group is on trial, when the trial is over. After
  _PATIENCE_S they wait no longer: the trial is adjourned, so that a crash is not counted against its group.
- A group begins when the turns of a first or second crash have made progress, have gone, or have lived half as long
  again as they had when they were in the crash. A turn that ran for much longer than the trial takes is believed to do
  so again.
- A turn that was alone in one crash may be parked by the next. So its last trial waits until each accused turn that
  runs has lived for _LAST_S: one that kills later than it was watched for, because others killed sooner, shows itself
  meanwhile, and nobody pays for it. It waits in one process for _LAST_S_MAX at the most, as crashes may go on and on.
- A trial is over when each of its turns has made progress, has gone, or has lived through the time of the trial.
- The largest groups come first, as they are the least suspicious, then the turns that were alone in fewer crashes, then
  the shortest trials; tenants take turns. A group is never larger than the `size` of any of its members, and no member
  has a trial more than twice as long as the first.
- A turn that waits holds no slot. A group takes free slots only; when there are too few, up to half of all slots are
  kept for it.
"""

from typing import Final, Generic, NamedTuple, TypeVar

from argosy.workers.dispatch.execution.accused import Accused, plan, told_at_s
from argosy.workers.dispatch.execution.crash_rule import MARGIN, Run, Standing, shrunk, spared

_GATHER_S: Final = 0.25  # partitions and pages are read one after the other: wait for turns of the same crash
_GATHER_S_MAX: Final = 1.0  # more that come all the time do not put the trial off
_PATIENCE_S: Final = 5.0  # a session of a turn of a first crash waits no longer for others' trials
_LAST_S: Final = 90.0
_LAST_S_MAX: Final = 300.0
_ROOM_S: Final = 2.0  # how long a group waits for as many slots as it can use

T = TypeVar("T")


class Postponed(NamedTuple, Generic[T]):
    """A turn that is tried later. behind: groups before it; until_s: when it begins at the latest, if none kills."""

    turn: T
    standing: Standing
    behind: int
    until_s: float


class Moves(NamedTuple, Generic[T]):
    """What is to be done now, in this order.

    spared: turns that lived through their trial; adjourned: turns of an adjourned trial, with the size of its group;
    beside: running turns beside which a trial begins, and how many seconds that takes at the most; begin: turns to
    begin, with the size of their group, 0 for none; waits: turns of which to write what they wait for.
    """

    spared: list[tuple[T, Standing]]
    adjourned: list[tuple[T, Standing, int]]
    beside: list[tuple[T, Standing, float]]
    begin: list[tuple[T, Standing, int]]
    waits: list[Postponed[T]]


class Suspects(Generic[T]):
    """The accused turns of one process. Call `look` whenever something has happened, and after `due_s` seconds."""

    def __init__(self, slots: int) -> None:
        self._half = max(1, slots // 2)
        self._waiting: dict[T, Accused[T]] = {}
        # Turns of a first or second crash: they begin at once when no group is on trial.
        self._held: dict[T, Accused[T]] = {}
        self._running: dict[T, Accused[T]] = {}
        self._group: dict[T, Accused[T]] = {}
        self._group_size = 0
        self._group_since_s = self._watch_s = 0.0
        self._first_came_s = self._last_came_s = 0.0
        self._room_since_s: float | None = None
        self._wakes: list[float] = []
        # Slots to keep free for the next group.
        self.reserved = 0

    @property
    def resting(self) -> int:
        """How many turns wait."""
        return len(self._waiting) + len(self._held)

    @property
    def on_trial(self) -> int:
        """How many turns are on trial."""
        return len(self._group)

    @property
    def has_work(self) -> bool:
        """Whether there is anything to look at: a turn waits, or is on trial."""
        return bool(self._waiting or self._held or self._group)

    def is_resting(self, turn: T) -> bool:
        return turn in self._waiting or turn in self._held

    def meet(self, turn: T, standing: Standing, tenant: str, now_s: float) -> bool:
        """Take an accused turn (TOGETHER or TRIED) that is to begin. Return whether it begins now; else it waits."""
        entry = Accused(turn, standing, tenant, now_s)
        if standing.run is Run.TOGETHER:
            if not self._group:
                self._begin(entry, now_s)
                return True
            self._held[turn] = entry
            return False
        if not self._waiting:
            self._first_came_s = now_s
        self._last_came_s = now_s
        self._waiting[turn] = entry
        return False

    def started(self, turn: T, now_s: float) -> None:
        """The turn's code begins now, after its history was loaded: count its time, and its trial's, from here."""
        if (entry := self._running.get(turn)) is not None:
            entry.began_s = now_s
        elif (entry := self._group.get(turn)) is not None:
            entry.began_s = self._group_since_s = now_s

    def gone(self, turn: T) -> None:
        """Forget a turn that made progress, or that does not run here any more."""
        for each in (self._waiting, self._held, self._running, self._group):
            each.pop(turn, None)

    def running(self) -> list[T]:
        """Return the accused turns that run."""
        return [*self._running, *self._group]

    def look(self, now_s: float, room: int) -> Moves[T]:
        """Return what is to be done now. room: free slots."""
        moves: Moves[T] = Moves([], [], [], [], [])
        self._wakes = []
        self._look_after_group(now_s, moves)
        if not self._group:
            for entry in list(self._held.values())[: max(0, room)]:
                del self._held[entry.turn]
                self._begin(entry, now_s)
                moves.begin.append((entry.turn, entry.standing, 0))
            if not self._held:
                self._look_for_group(now_s, room - len(moves.begin), moves)
        self._tell(now_s, moves)
        return moves

    def due_s(self, now_s: float) -> float | None:
        """Return in how many seconds to look again although nothing happens, or None."""
        return max(0.0, min(self._wakes) - now_s) if self._wakes else None

    # Inside

    def _begin(self, entry: Accused[T], now_s: float) -> None:
        entry.began_s = now_s
        self._running[entry.turn] = entry

    def _look_after_group(self, now_s: float, moves: Moves[T]) -> None:
        if not self._group:
            return
        over_s = self._group_since_s + self._watch_s
        impatient_s = min((each.came_s + _PATIENCE_S for each in self._held.values()), default=float("inf"))
        if now_s >= over_s:
            for each in self._group.values():
                each.standing = spared(each.standing)
                moves.spared.append((each.turn, each.standing))
            self._running |= self._group
            self._group = {}
        elif now_s >= impatient_s:
            moves.adjourned.extend((each.turn, each.standing, self._group_size) for each in self._group.values())
            self._running |= self._group
            self._group = {}
        else:
            self._wakes.append(min(over_s, impatient_s))

    def _look_for_group(self, now_s: float, room: int, moves: Moves[T]) -> None:
        self.reserved = 0
        if not self._waiting:
            self._room_since_s = None
            return
        gathered_s = min(self._last_came_s + _GATHER_S, self._first_came_s + _GATHER_S_MAX)
        if now_s < gathered_s:
            self._wakes.append(gathered_s)
            return
        new = [each for each in self._waiting.values() if not each.standing.size]
        for each in new:
            each.standing = each.standing._replace(size=shrunk(len(new)))
        group = plan(list(self._waiting.values()), is_first=True)[0]
        watch_s = max(each.standing.watch_s for each in group)
        free_s = max(self._free_at_s(now_s, watch_s, is_alone=len(group) == 1), self._last_at_s(now_s, group))
        if free_s > now_s:
            self._wakes.append(free_s)
            return
        wanted = min(len(group), self._half)
        if room < wanted:
            self._room_since_s = now_s if self._room_since_s is None else self._room_since_s
            if room < 1 or now_s < self._room_since_s + _ROOM_S:
                self.reserved = wanted
                self._wakes.append(max(now_s + _GATHER_S, self._room_since_s + _ROOM_S))
                return
        if room < len(group):
            group = group[:room]
            # What is left of a larger group is one turn: it could be parked like any other that is tried alone.
            if len(group) == 1 and (free_s := self._free_at_s(now_s, watch_s, is_alone=True)) > now_s:
                self.reserved = wanted
                self._wakes.append(free_s)
                return
        self._room_since_s = None
        moves.beside.extend(
            (each.turn, each.standing, watch_s) for each in self._running.values() if each.standing.run is Run.TOGETHER
        )
        self._group_since_s, self._watch_s, self._group_size = now_s, watch_s, len(group)
        for each in group:
            del self._waiting[each.turn]
            each.standing = each.standing._replace(watch_s=watch_s)
            each.began_s = now_s
            self._group[each.turn] = each
            moves.begin.append((each.turn, each.standing, len(group)))
        self._wakes.append(now_s + watch_s)
        for each in self._waiting.values():
            each.is_written = False

    def _free_at_s(self, now_s: float, watch_s: float, *, is_alone: bool) -> float:
        """Return when all accused turns that run are told apart from a group that is watched for watch_s: each has
        outlived the time after which it was in a crash, or that time is much longer than the trial takes.

        is_alone: the group is one turn, which could be parked for what another does. So this also counts the longest
        time that each running turn ran before any of its crashes (longest_s).
        """
        told_s = now_s
        for each in self._running.values():
            began_s, ran_s = now_s if each.began_s is None else each.began_s, each.standing.ran_s
            each_s = told_at_s(each)
            if is_alone:
                ran_s = max(ran_s, each.standing.longest_s)
                each_s = max(each_s, began_s + MARGIN * ran_s)
            is_later = ran_s > 2 * watch_s and not (is_alone and now_s + watch_s >= began_s + ran_s / MARGIN)
            if not is_later:
                told_s = max(told_s, each_s)
        return told_s

    def _last_at_s(self, now_s: float, group: list[Accused[T]]) -> float:
        """Return when a group that is tried for the last time may begin; now_s for any other."""
        if not group[0].standing.alone:
            return now_s
        began_s = (now_s if each.began_s is None else each.began_s for each in self._running.values())
        lived_s = max(began_s, default=-_LAST_S) + _LAST_S
        return max(now_s, min(lived_s, group[0].came_s + _LAST_S_MAX))

    def _tell(self, now_s: float, moves: Moves[T]) -> None:
        """Add to moves.waits what each waiting turn waits for, once that is known and if it is not written yet."""
        news = [each for each in self._held.values() if not each.is_written]
        if all(each.standing.size for each in self._waiting.values()):
            news += [each for each in self._waiting.values() if not each.is_written]
        if not news:
            return
        over_s = self._group_since_s + self._watch_s if self._group else now_s
        for each in news:
            each.is_written = True
            if each.turn in self._held:
                until_s = min(over_s, each.came_s + _PATIENCE_S)
                moves.waits.append(Postponed(each.turn, each.standing, int(bool(self._group)), until_s))
        if any(each.turn in self._waiting for each in news):
            moves.waits.extend(
                self._waits(self._free_at_s(over_s, float("inf"), is_alone=False), {each.turn for each in news})
            )

    def _waits(self, from_s: float, turns: set[T]) -> list[Postponed[T]]:
        found, behind, until_s = [], int(bool(self._group)), from_s
        for group in plan(list(self._waiting.values())):
            until_s = self._last_at_s(until_s, group)
            found += [Postponed(each.turn, each.standing, behind, until_s) for each in group if each.turn in turns]
            behind += 1
            until_s += max(each.standing.watch_s for each in group)
        return found

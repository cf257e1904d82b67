"""A fleet in which turns kill workers, in simulated time: the rules of a crash, and nothing else of a worker."""

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import NamedTuple

from argosy.turn.trial import Kind, Trial
from argosy.workers.dispatch.execution.crash_rule import Run, Standing, weigh
from argosy.workers.dispatch.execution.suspects import Suspects

ADOPTED_S, ADOPTED_S_MORE, RESTARTED_S = 0.3, 0.4, 1.5
RECORDED_S = 0.02  # a start that nobody waits for is durable after so long
WATCH_S_MAX = 120.0


class Code(NamedTuple):
    """What a turn does each time that it begins. kills_s: after how long it ends its worker, drawn anew each time."""

    ends_s: float
    progress_s: float | None = None
    kills_s: Callable[[random.Random], float] | None = None


class Row:
    """What Postgres has of a turn, and what the test wants to know of it."""

    def __init__(self, number: int, code: Code, tenant: str) -> None:
        self.number, self.code, self.tenant = number, code, tenant
        self.status = "queued"
        self.attempt = self.crashes = self.kills = 0
        self.trial: Trial | None = None
        # When anything of it was written last, and when an owner of it died last.
        self.written_s = self.crashed_s = 0.0
        self.began_s: list[float] = []
        self.ended_s: float | None = None


class Worker:
    def __init__(self, slots: int) -> None:
        self.is_alive = True
        self.suspects: Suspects[Row] = Suspects(slots)
        self.queue: list[tuple[Row, bool]] = []
        self.active: dict[Row, int] = {}  # which attempt runs here
        self.wakes_s = float("inf")


class World:
    """run() until nothing is left to do. deaths: (time, who did it: None for somebody outside). handed_on: the share of
    turns that go on from who took them over from the dead to somebody else, in order, before anything of them began.
    """

    def __init__(
        self,
        codes: Iterable[Code],
        *,
        seed: int,
        workers: int,
        slots: int,
        kills: Sequence[float] = (),
        handed_on: float = 0.0,
    ) -> None:
        self.handed_on = handed_on
        self.random = random.Random(seed)
        self.slots = slots
        self.now_s = 0.0
        self.deaths: list[tuple[float, Row | None]] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.rows = [Row(number, code, f"t{number % 3}") for number, code in enumerate(codes)]
        self.workers = [Worker(slots) for _ in range(workers)]
        for row in self.rows:
            self.random.choice(self.workers).queue.append((row, False))
        for at_s in kills:
            self._at(at_s, lambda: self._kill_any())
        for worker in self.workers:
            self._at(0.0, lambda worker=worker: self._fill(worker))  # type: ignore[misc]

    def run(self, until_s: float = 100_000.0) -> None:
        while self._agenda and self.now_s < until_s:
            self.now_s, _, work = heapq.heappop(self._agenda)
            work()

    def killed_by(self, row: Row) -> int:
        return sum(killer is row for _, killer in self.deaths)

    def _at(self, at_s: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._numbers), work))

    # A worker

    def _room(self, worker: Worker) -> int:
        return self.slots - len(worker.active)

    def _fill(self, worker: Worker) -> None:
        if not worker.is_alive:
            return
        suspects = worker.suspects
        moves = suspects.look(self.now_s, self._room(worker))
        for row, standing in moves.spared:
            row.crashes = standing.crashes
            row.trial = Trial(
                Kind.SPARED, row.attempt, row.began_s[-1], watch_s=standing.watch_s, longest_s=standing.longest_s
            )
        for row, standing, size in moves.adjourned:
            row.trial = Trial(Kind.ADJOURNED, row.attempt, self.now_s, size, standing.alone, standing.watch_s)
        for row, standing, trial_s in moves.beside:
            row.trial = Trial(
                Kind.BESIDE,
                row.attempt,
                row.began_s[-1],
                watch_s=standing.outlived_s,
                beside=standing.beside,
                longest_s=standing.longest_s,
                until_s=self.now_s + trial_s,
            )
        for row, standing, size in moves.begin:
            self._begin(worker, row, standing, size)
        for row, standing, behind, until_s in moves.waits:
            watch_s = standing.outlived_s if standing.run is Run.TOGETHER else standing.watch_s
            row.crashes = standing.crashes
            row.trial = Trial(
                Kind.WAITS,
                row.attempt,
                self.now_s,
                standing.size,
                standing.alone,
                watch_s,
                standing.beside,
                standing.longest_s,
                behind,
                until_s,
            )
        while worker.queue and self._room(worker) > suspects.reserved:
            row, is_crash = worker.queue.pop(0)
            self._meet(worker, row, is_crash)
        due_s = suspects.due_s(self.now_s)
        if due_s is not None:
            self._wake(worker, self.now_s + due_s + 0.001)

    def _wake(self, worker: Worker, at_s: float) -> None:
        if at_s >= worker.wakes_s:
            return
        worker.wakes_s = at_s

        def wake() -> None:
            if worker.wakes_s == at_s:
                worker.wakes_s = float("inf")
                self._fill(worker)

        self._at(at_s, wake)

    def _meet(self, worker: Worker, row: Row, is_crash: bool) -> None:
        standing = weigh(
            row.crashes, row.trial, row.attempt, is_crash=is_crash, now_s=self.now_s, watch_s_max=WATCH_S_MAX
        )
        if standing.run is Run.PARK:
            row.status, row.crashes = "parked", standing.crashes
        elif standing.run is Run.FREE:
            self._begin(worker, row, None, 0)
        elif worker.suspects.meet(row, standing, row.tenant, self.now_s):
            self._begin(worker, row, standing, 0)
        else:
            self._wake(worker, self.now_s + 0.3)

    def _begin(self, worker: Worker, row: Row, standing: Standing | None, size: int) -> None:
        attempt, code = row.attempt + 1, row.code
        worker.active[row] = attempt
        assert len(worker.active) <= self.slots
        row.began_s.append(self.now_s)

        def is_on() -> bool:
            return worker.is_alive and worker.active.get(row) == attempt

        def record() -> None:
            if not is_on() or row.status not in ("queued", "running"):
                return
            row.status, row.attempt, row.written_s = "running", attempt, self.now_s
            if standing is not None:
                row.crashes = standing.crashes
                kind = Kind.TRIED if standing.run is Run.TRIED else Kind.TOGETHER
                watch_s = standing.watch_s if kind is Kind.TRIED else standing.outlived_s
                row.trial = Trial(
                    kind, attempt, row.began_s[-1], size, standing.alone, watch_s, standing.beside, standing.longest_s
                )

        def end() -> None:
            if is_on():
                row.status, row.ended_s = "completed", self.now_s
                self._leave(worker, row)

        def progress() -> None:
            if is_on():
                row.crashes, row.trial = 0, None
                worker.suspects.gone(row)
                self._fill(worker)

        def kill() -> None:
            if is_on():
                self._die(worker, row)

        if standing is not None or row.written_s < row.crashed_s:
            record()
        else:
            self._at(self.now_s + RECORDED_S, record)
        if code.kills_s is not None:
            self._at(self.now_s + code.kills_s(self.random), kill)
            return
        self._at(self.now_s + code.ends_s, end)
        if code.progress_s is not None:
            self._at(self.now_s + code.progress_s, progress)

    def _leave(self, worker: Worker, row: Row) -> None:
        worker.active.pop(row, None)
        worker.suspects.gone(row)
        self._fill(worker)

    # Deaths

    def _kill_any(self) -> None:
        if living := [each for each in self.workers if each.is_alive]:
            self._die(max(living, key=lambda each: len(each.active)), None)

    def _die(self, worker: Worker, killer: Row | None) -> None:
        self.deaths.append((self.now_s, killer))
        assert len(self.deaths) < 2_000, "it never ends"
        worker.is_alive = False
        resting = [row for row in self.rows if worker.suspects.is_resting(row)]
        crashed = [
            *((row, row.status == "running") for row in sorted(worker.active, key=lambda row: row.number)),
            *((row, True) for row in resting),
        ]
        orphans = crashed + worker.queue
        index = self.workers.index(worker)

        def restart() -> None:
            self.workers[index] = Worker(self.slots)

        self._at(self.now_s + RESTARTED_S, restart)
        for orphan in orphans:
            delay_s = ADOPTED_S + self.random.random() * ADOPTED_S_MORE
            self._at(self.now_s + delay_s, lambda orphan=orphan: self._adopt(orphan))  # type: ignore[misc]

    def _adopt(self, orphan: tuple[Row, bool]) -> None:
        living = [each for each in self.workers if each.is_alive]
        if not living:
            self._at(self.now_s + 0.2, lambda: self._adopt(orphan))
            return
        row, _ = orphan
        row.crashed_s = self.now_s
        if self.random.random() < self.handed_on:
            # Who takes it next knows of the death from what is durable.
            self._at(self.now_s + 0.1, lambda: self._take(row))
        else:
            self._take(row)

    def _take(self, row: Row) -> None:
        living = [each for each in self.workers if each.is_alive]
        if not living:
            self._at(self.now_s + 0.2, lambda: self._take(row))
            return
        worker, orphan = self.random.choice(living), (row, row.status == "running" and row.written_s < row.crashed_s)
        if orphan[1]:
            worker.queue.insert(0, orphan)
        else:
            worker.queue.append(orphan)
        self._fill(worker)

"""Plays a program in a world (tests/workflow/world.py): undisturbed, with any number of interruptions, or over again.

Rules that every play holds, whatever it is disturbed by:
- a step whose outcome is recorded does not run; nothing is recorded and nothing begins while nothing goes on;
- what an attempt saw of what is durable is what the next attempt sees first;
- no attempt ends because history and code have parted.
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest import mock
from uuid import UUID

import msgspec

from argosy.errors import InternalError
from argosy.turn.events import SETTLED_OUTCOMES, STEP_OUTCOMES, Event
from argosy.workers.dispatch.turn import Stop
from argosy.workflow.current import step_info
from argosy.workflow.driver import Driver
from argosy.workflow.execute import execute
from argosy.workflow.journal import Park
from argosy.workflow.replay import Row
from tests.workflow import programs
from tests.workflow.fixed_random import FixedRandom
from tests.workflow.programs import Choices, Node
from tests.workflow.world import OUTCOMES, BrokenError, Kept, WorldJournal

_THREADS: Final = SimpleNamespace(steps=None, workflows=None)
_ATTEMPTS_MAX: Final = 12
_SIGNALS_MAX: Final = 3
_EVENTS_MAX: Final = 2_000

Seen = tuple[Any, ...]


class Ended(NamedTuple):
    """What a play came to. told: the result, or the error's type and words. saw: what its last attempt did."""

    told: str
    saw: list[Seen]
    rows: list[Row]
    ran: list[tuple[str, int]]
    attempts: int
    # Outcomes came while the code heard of none: in an order that no undisturbed run has.
    is_handed_over: bool = False

    def outcomes(self) -> list[tuple[str, str, bytes]]:
        """What history has, but for the digests of how long it took."""
        return [(row[2], row[3], _plain(row[4])) for row in self.rows if row[2] in OUTCOMES]


def _plain(data: bytes) -> bytes:
    found = json.loads(data)
    for name in ("took_ms", "traceback"):
        found.pop(name, None)
    return json.dumps(found).encode()


class Play:
    """programs.Host. script: the outcomes of another play, whose order this one keeps. may_disturb: it interrupts."""

    def __init__(
        self, program: Node, choices: Choices, script: list[tuple[str, str, bytes]] | None = None, *, may_disturb: bool
    ) -> None:
        self.program = program
        self._choices = choices
        self._script = script
        self._may_disturb = may_disturb
        self._kept = Kept()
        self._ran: list[tuple[str, int]] = []
        self._saw: list[tuple[int, Seen]] = []
        self._must_see: list[Seen] = []
        self._gates: dict[str, asyncio.Future[None]] = {}
        self._journal = WorldJournal(self._kept, 1)
        self._is_open = False
        self._signals = 0
        self._handed = False

    # programs.Host

    def saw(self, *what: Any) -> None:
        if not self._is_open:
            return
        at = len(self._saw)
        self._saw.append((len(self._journal.rows), what))
        if what[0] == "time" and not what[2]:
            self._break(f"the time went back to {what[1]}")
        if at < len(self._must_see) and self._must_see[at] != what:
            raise BrokenError(f"saw {what} where an earlier attempt saw {self._must_see[at]}")

    async def work(self, fails: int) -> str:
        info = step_info()
        key = info.step_key
        journal = self._journal
        if any(row[3] == key and row[2] in SETTLED_OUTCOMES for row in journal.rows):
            self._break(f"{key} ran although its outcome is recorded")
        if not self._is_open:
            self._break(f"{key} ran although nothing goes on")
        self._ran.append((key, info.try_number))
        gate = self._gates[key] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            if self._gates.get(key) is gate:
                del self._gates[key]
        if info.try_number <= fails:
            raise programs.ToldError(key)
        return key

    # Playing

    async def play(self) -> Ended:
        programs.HOSTS.append(self)
        try:
            for attempt in range(1, _ATTEMPTS_MAX * 10):
                if attempt >= _ATTEMPTS_MAX:
                    self._may_disturb = False
                told = await self._attempt(attempt, is_over=False)
                if told is not None:
                    return Ended(
                        told, [what for _, what in self._saw], self._journal.rows, self._ran, attempt, self._handed
                    )
            raise BrokenError("it never ends")
        finally:
            programs.HOSTS.pop()

    async def replay(self, ended: Ended) -> Ended:
        """Over again from the whole of a history: nothing begins, nothing is recorded."""
        self._kept.rows = list(ended.rows)
        programs.HOSTS.append(self)
        try:
            told = await self._attempt(ended.attempts + 1, is_over=True)
        finally:
            programs.HOSTS.pop()
        return Ended(told or "", [what for _, what in self._saw], self._journal.rows, self._ran, 1)

    async def _attempt(self, number: int, *, is_over: bool) -> str | None:
        """What it told at its end; None: it was interrupted."""
        journal = self._journal = WorldJournal(self._kept, number, is_over=is_over)
        self._saw, self._gates, self._is_open = [], {}, True
        self._broken = ""
        assert programs.PROGRAM is not None
        code = execute(
            programs.PROGRAM,
            journal,
            b"null",
            threads=_THREADS,  # type: ignore[arg-type]
            payload_size_bytes_max=100_000,
            random=FixedRandom(0.5),
        )
        close = Driver.close

        def closing(driver: Driver) -> set[asyncio.Task[None]]:
            self._is_open, journal.is_closing = False, True
            return close(driver)

        with mock.patch("argosy.workflow.context.uuids.uuid4", self._uuid), mock.patch.object(Driver, "close", closing):
            task = asyncio.create_task(code)
            try:
                return await self._go_on(task, is_over=is_over)
            finally:
                self._is_open = False
                journal.turn.refuse()
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])

    async def _go_on(self, task: "asyncio.Task[bytes]", *, is_over: bool) -> str | None:
        journal = self._journal
        for _ in range(_EVENTS_MAX):
            disturbs = self._may_disturb and self._below(4) == 3
            await _quiet(1 + self._below(3) if disturbs and self._below(3) == 1 else 1_000)
            self._check(journal)
            if task.done():
                return _told(task)
            if is_over:
                raise BrokenError(f"the replay waits for {list(journal.waits.open)} and {list(self._gates)}")
            if disturbs:
                await self._disturb(task)
                return None
            self._one_thing()
        raise BrokenError("it never ends")

    def _one_thing(self) -> None:
        """Let one thing happen."""
        journal = self._journal
        if self._script is not None:
            self._next_of(self._script)
            return
        can: list[tuple[str, str]] = [("flush", "")] if journal.flushes else []
        can += [("finish", key) for key in self._gates]
        can += [("fire", key) for key in journal.due()]
        can += [("send", wait.name) for wait in journal.waits.open.values() if wait.kind == "signal"]
        if can and self._below(8) == 7:
            can = [("fire", key) for key in journal.left_timers()] or can
        if self._signals < _SIGNALS_MAX:
            can += [("send", "a"), ("send", "b")]
        if not journal.was_cancelled and self._below(16) == 15:
            can = [("cancel", "")]
        if not can:
            raise BrokenError("nothing can happen, and it has not ended")
        more = 1 + self._below(3) // 2
        for _ in range(more):
            what, key = can[self._below(len(can))]
            self._do(what, key)

    def _do(self, what: str, key: str) -> None:
        journal = self._journal
        if what == "flush":
            journal.flush()
        elif what == "finish" and key in self._gates and not self._gates[key].done():
            self._gates[key].set_result(None)
        elif what == "fire" and (key in journal.due() or key in journal.left_timers()):
            journal.fire(key)
        elif what == "cancel" and not journal.was_cancelled:
            journal.cancel()
        elif what == "send":
            self._signals += 1
            journal.send(key, self._signals)

    def _next_of(self, script: list[tuple[str, str, bytes]]) -> None:
        journal = self._journal
        if journal.flushes:
            journal.flush()
            return
        at = sum(row[2] in OUTCOMES for row in journal.rows)
        if at >= len(script):
            raise BrokenError("it goes on where the undisturbed run had ended")
        kind, key, data = script[at]
        if kind in STEP_OUTCOMES:
            if key not in self._gates:
                raise BrokenError(f"{key} does not run, although its outcome is next")
            self._gates[key].set_result(None)
        elif kind == Event.TURN_CANCELLING:
            journal.cancel()
        elif kind == Event.WAIT_COMPLETED and "signal:" in key:
            journal.send(key.partition("signal:")[2].partition("#")[0], msgspec.json.decode(data)["payload"])
        elif key in journal.due():
            journal.fire(key)
        else:
            raise BrokenError(f"{key} cannot come, although it is next")

    # Interruptions

    async def _disturb(self, task: "asyncio.Task[bytes]") -> None:
        journal = self._journal
        how = self._below(3)
        if how == 1 and journal.is_resting and not self._gates:
            journal.turn.stop = Stop.SUSPEND
            rows = len(journal.rows)
        elif how == 2:
            await self._hand_over()
            rows = journal.durable_rows + self._below(len(journal.rows) - journal.durable_rows + 1)
        else:
            rows = journal.durable_rows + self._below(len(journal.rows) - journal.durable_rows + 1)
        if journal.turn.stop is None:
            journal.turn.refuse()
        self._is_open = False
        seen = [what for at, what in self._saw if at <= rows]
        if len(seen) < min(len(self._must_see), len(self._saw)):
            raise BrokenError("an attempt saw less of what is durable")
        self._must_see = max(self._must_see, seen, key=len)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and isinstance(broken := task.exception(), BrokenError | Park | InternalError):
            raise broken
        self._check(journal)
        journal.keep(self._kept, rows)
        if self._script is not None:
            self._kept.signals = []
        self._handed = self._handed or bool(journal.outcomes)
        for event, key, data in journal.outcomes:
            if not any(row[3] == key and row[2] in SETTLED_OUTCOMES for row in self._kept.rows):
                self._kept.rows.append((len(self._kept.rows) + 1, journal.attempt, event.value, key, data))

    async def _hand_over(self) -> None:
        """Some steps in flight end; nobody hears of it here."""
        journal = self._journal
        journal.turn.stop = Stop.HANDOVER
        if self._script is not None:
            at = sum(row[2] in OUTCOMES for row in journal.rows)
            if self._below(2) and at < len(self._script) and self._script[at][1] in self._gates:
                journal.durable_rows = len(journal.rows)
                self._gates[self._script[at][1]].set_result(None)
        else:
            for key in list(self._gates):
                if self._below(2) and key in self._gates and not self._gates[key].done():
                    self._gates[key].set_result(None)
        await _quiet(1_000)

    # Inside

    def _below(self, bound: int) -> int:
        return self._choices.below(bound)

    def _uuid(self) -> UUID:
        return UUID(int=len([row for row in self._journal.rows if row[2] in SETTLED_OUTCOMES]))

    def _check(self, journal: WorldJournal) -> None:
        if broken := self._broken or journal.broken:
            raise BrokenError(broken)

    def _break(self, how: str) -> None:
        self._broken = self._broken or how


async def _quiet(rounds_max: int) -> None:
    """Returns when nothing is ready any more, or after so many rounds."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    for _ in range(rounds_max):
        await asyncio.sleep(0)
        if not ready:
            return


def _told(task: "asyncio.Task[bytes]") -> str:
    if task.cancelled():
        return "CancelledError"
    error = task.exception()
    if isinstance(error, Park | BrokenError | InternalError):
        raise BrokenError(f"{type(error).__name__}: {error}")
    return task.result().decode() if error is None else f"{type(error).__name__}: {error}"

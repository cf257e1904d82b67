"""Turns that an older build of Argosy began: they go on as if nothing had happened, or are parked and say why.

Histories were recorded by tests/workflow/record_histories.py with that build; here each is cut off at every event, as
by an upgrade at that moment, and goes on.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from argosy.turn.events import SETTLED_OUTCOMES, Event
from argosy.turn.status import Status
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.turn_runner import Runner, until
from tests.workflow import old_workflows
from tests.workflow.record_histories import DATABASE_TIME_S, play, runner_of, signals_of

_HISTORIES = {path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("histories").glob("*.json")}
_LEFT_S = 40.0  # of the timers that were set before the upgrade


class Old:
    """A turn that had come so far when its worker was replaced. cut: how many of its events there are."""

    def __init__(self, name: str, cut: int) -> None:
        history = _HISTORIES[name]
        self.name = name
        self.rows = [(*row, data.encode()) for *row, data in history["rows"][:cut]]
        self.result = history["result"]
        self.function = getattr(old_workflows, name)
        self.look()

    def look(self) -> None:
        """See what there is in its events."""
        self.settled = {key: kind for _, _, kind, key, _ in self.rows if kind in SETTLED_OUTCOMES}
        self.has_failed = any(kind == Event.STEP_RETRYING for _, _, kind, _, _ in self.rows)
        begun = {key for _, _, kind, key, _ in self.rows if kind == Event.STEP_INTENDED}
        self.is_uncertain = bool(begun - self.settled.keys())
        self.signals = list((Counter(signals_of(self.function)) - Counter(self._received())).elements())

    @property
    def recorded(self) -> set[str]:
        """Labels of steps whose outcome is there."""
        data = [msgspec.json.decode(row[4]) for row in self.rows if row[2] in (Event.STEP_COMPLETED, Event.STEP_FAILED)]
        return {each.get("result", each.get("message")) for each in data}

    @property
    def timers(self) -> dict[str, tuple[uuid.UUID, float]]:
        return {
            key: (uuid.uuid4(), DATABASE_TIME_S + _LEFT_S)
            for _, _, kind, key, data in self.rows
            if kind == Event.WAIT_STARTED and key not in self.settled and b"timeout_s" in data
        }

    async def goes_on(self) -> Turn:
        """The turn at its end, under this build."""
        old_workflows.ran.clear()
        old_workflows.failed.clear()
        old_workflows.failed.update({"at last", "third"} if self.has_failed else ())
        runner = runner_of(self.function)
        try:
            return await play(runner, await self.begins(runner), self.signals)
        finally:
            runner.threads.close()

    async def begins(self, runner: Runner) -> Turn:
        before: Any = SimpleNamespace(history=self.rows, events=[], turn_id=uuid.uuid4(), attempt=1, waits=b"[]")
        is_suspended = [kind for _, _, kind, _, _ in self.rows if kind.startswith("turn.")][-1] == Event.TURN_SUSPENDED
        turn = await runner.begin(before, Status.SUSPENDED if is_suspended else Status.RUNNING)
        turn.timers = self.timers
        return turn

    def _received(self) -> Iterator[str]:
        for key, kind in self.settled.items():
            if kind == Event.WAIT_COMPLETED and key.startswith("signal:"):
                yield key.removeprefix("signal:").partition("#")[0]


def _cuts(functions: tuple[Any, ...]) -> list[Any]:
    lengths = {each.__name__: len(_HISTORIES[each.__name__]["rows"]) for each in functions}
    return [pytest.param(name, cut, id=f"{name}-{cut}") for name, length in lengths.items() for cut in range(1, length)]


def test_there_is_a_history_of_every_workflow() -> None:
    assert {each.__name__ for each in (*old_workflows.GO_ON, *old_workflows.PARTED)} == _HISTORIES.keys()


@pytest.mark.parametrize(("name", "cut"), _cuts(old_workflows.GO_ON))
async def test_a_turn_goes_on_from_every_event_of_its_old_history(name: str, cut: int) -> None:
    old = Old(name, cut)
    turn = await old.goes_on()

    if old.is_uncertain:
        assert (turn.status, turn.reason) == (Status.PARKED, "uncertain_effect")
    else:
        _has_gone_on(old, turn)


# From which of its events on a turn is parked; what comes before tells enough.
_PARTS_AT = {
    "stopped_in_the_same_moment": 8,
    "waits_in_branches": 7,
    "branches": 2,
    "beside_a_branch": 3,
    "once_in_a_branch": 2,
}
# What that build itself came to was wrong: branches got each other's results.
_RIGHT = {
    "branches": [["Ada first", "Ada second"], ["Bob first", "Bob second"], 1, "at the end"],
    "beside_a_branch": ["of the workflow", "of the workflow, too", "of the branch", 1],
}


@pytest.mark.parametrize(("name", "cut"), _cuts(old_workflows.PARTED))
async def test_a_turn_whose_outcomes_cannot_be_told_apart_is_parked_and_runs_nothing(name: str, cut: int) -> None:
    old = Old(name, cut)
    turn = await old.goes_on()

    if cut < _PARTS_AT[name]:
        _has_gone_on(old, turn)
        return
    assert (turn.status, turn.reason) == (Status.PARKED, "history_mismatch")
    assert old_workflows.ran == []
    message = msgspec.json.decode(turn.error or b"")["message"]
    if name == "stopped_in_the_same_moment":
        assert "which the code does not ask for at this place" in message
    else:
        assert "from a build of Argosy that counted the calls of all tasks of a turn together" in message
        assert "cannot be told. Cancel the turn and post it again" in message


def _has_gone_on(old: Old, turn: Turn) -> None:
    """It has come to what it would have, and no step ran twice."""
    assert turn.status is Status.COMPLETED, turn.error
    result = msgspec.json.decode(turn.result or b"")
    if old.result is None:  # that build did not come to one
        assert old.recorded <= set(result)
        assert result[-2:] == ["stopped", 1]
    elif old.name == "with_waits" and len(old.rows) < 3:  # its time and its random value are others
        assert result[:-2] == old.result[:-2]
    else:
        assert result == _RIGHT.get(old.name, old.result)
    assert old.recorded.isdisjoint(old_workflows.ran)
    assert len(set(old_workflows.ran)) == len(old_workflows.ran)


async def test_a_wait_in_a_branch_goes_on_for_what_is_left_of_it() -> None:
    old = Old("waits_in_branches", 6)
    runner = runner_of(old.function)
    try:
        turn = await old.begins(runner)
        before = dict(turn.timers)
        await until(lambda: turn.status is Status.SUSPENDED)
    finally:
        runner.threads.close()

    assert {row.correlation: row.due_s for row in turn.inbox.values()} == {
        "1/signal:go": _LEFT_S,
        "2/signal:stop": _LEFT_S,
    }
    assert {turn.moves[timer_id] for timer_id, _ in before.values()} == {"deleted"}


async def test_what_this_build_records_of_an_old_turn_is_told_apart_from_then_on() -> None:
    """The same names, in the workflow and in a task, after the upgrade."""
    old = Old("beside_a_branch", 2)
    turn = await old.goes_on()
    rows = [*turn.history, *turn.events]
    keys = [key for _, _, kind, key, _ in rows if kind == Event.STEP_COMPLETED]
    assert sorted(keys) == ["1/slow", "b", "slow"]

    for cut in range(3, len(rows)):
        again = Old("beside_a_branch", 2)
        again.rows = [(seq, attempt, str(kind), key, data) for seq, attempt, kind, key, data in rows[:cut]]
        again.look()
        _has_gone_on(again, await again.goes_on())

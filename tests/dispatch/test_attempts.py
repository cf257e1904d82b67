"""Turns that begin together begin in one pass of the loop, each for itself."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from argosy.config import load
from argosy.workers.dispatch.execution.attempts import Attempts
from argosy.workflow.execute import Execution
from tests.dispatch.joined_parts import Anything

TURNS = ("first", "second", "third")


class Begun:
    """What has begun, in that order. `leaves`: for which one the loop is left, as Ctrl-C does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, leaves: str = "", breaks: str = "") -> None:
        self.turns: list[str] = []
        self.broken: list[tuple[str, Exception]] = []
        anything: Any = Anything()
        nobody: Any = SimpleNamespace(subscribers=SimpleNamespace(count=0))
        self.attempts = Attempts(anything, anything, nobody, anything, load({}), self)

        def begin(_: Execution, definition: Any, *__: Any) -> None:
            self.turns.append(definition)
            if definition == leaves:
                raise KeyboardInterrupt
            if definition == breaks:
                raise ValueError("a bug")

        monkeypatch.setattr(Execution, "begin", begin)

    def after_bug(self, turn: Any, bug: Exception) -> None:
        self.broken.append((turn.name, bug))

    async def begin(self, *names: str) -> None:
        for name in names:
            turn: Any = SimpleNamespace(name=name, awaits_start=False, input=b"", run_as=lambda _: None)
            definition: Any = name
            journal: Any = SimpleNamespace()
            self.attempts.begin(turn, definition, journal)


async def test_turns_begin_in_the_next_pass_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch)

    await begun.begin(*TURNS)
    at_once = list(begun.turns)
    await asyncio.sleep(0)
    await begun.begin("fourth")
    await asyncio.sleep(0)

    assert at_once == []
    assert begun.turns == [*TURNS, "fourth"]


async def test_a_bug_as_one_begins_is_told_and_the_others_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch, breaks="second")

    await begun.begin(*TURNS)
    await asyncio.sleep(0)

    assert begun.turns == list(TURNS)
    assert [(name, str(bug)) for name, bug in begun.broken] == [("second", "a bug")]


def test_the_others_begin_when_the_loop_goes_on_after_it_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch, leaves="second")
    loop = asyncio.new_event_loop()

    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(_begin_and_wait(begun))
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))

    loop.close()
    assert begun.turns == list(TURNS)


async def _begin_and_wait(begun: Begun) -> None:
    await begun.begin(*TURNS)
    await asyncio.sleep(0)

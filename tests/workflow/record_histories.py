"""Writes histories of the build of Argosy that runs it: one file for each workflow of tests/workflow/old_workflows.py.

    python -m tests.workflow.record_histories DIRECTORY     (in a checkout of that build)

Files that are there already are kept: what was recorded by an older build is what it is.
"""

import asyncio
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec

from argosy.turn.status import Status
from argosy.workers.dispatch.execution.journal import TurnJournal
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.definition import Workflow, workflow_of
from tests.dispatch.turn_runner import Runner
from tests.workflow import old_workflows

DATABASE_TIME_S = 1_000.0  # of the runner
STOP_AFTER = "a3"  # with this label a running turn is sent its signal `stop`


def runner_of(function: Any) -> Runner:
    definition = workflow_of(function)
    assert definition is not None
    runner = Runner(definition.function)
    runner.executor._catalog = Only(definition)  # type: ignore[assignment]
    return runner


class Only:
    """A catalog of one workflow."""

    def __init__(self, definition: Workflow) -> None:
        self.definition = definition

    def get(self, name: str, version: str | None) -> Workflow:
        return self.definition


async def play(runner: Runner, turn: Turn, signals: list[str]) -> Turn:
    """Run the turn to its end: what it waits for comes, signals first, each once."""

    def hear(label: str) -> None:
        if label == STOP_AFTER and "stop" in signals:
            signals.remove("stop")
            assert turn.journal is not None
            turn.journal.deliver(Signal(uuid.uuid4(), "stop", b'"stop"'))

    old_workflows.on_run[:] = [hear]
    began_at_s = time.monotonic()
    async with asyncio.timeout(10):
        while True:
            while turn.status is Status.RUNNING:
                await asyncio.sleep(0.001)
                fire(turn, time.monotonic() - began_at_s)
            if turn.status is not Status.SUSPENDED:
                return turn
            turn = await go_on(runner, turn, signals)


def fire(turn: Turn, passed_s: float) -> None:
    """Let the timers of a running turn come due. passed_s: since it began; its clock stands at DATABASE_TIME_S."""
    journal = turn.journal
    if journal is None:
        return
    assert isinstance(journal, TurnJournal)
    for wait in list(journal.waits.open.values()):
        if wait.timer_id is not None and wait.due_at_s is not None and wait.due_at_s <= DATABASE_TIME_S + passed_s:
            journal.fire(wait.key, wait.timer_id)


async def go_on(runner: Runner, turn: Turn, signals: list[str]) -> Turn:
    """A suspended turn gets what it waits for."""
    waits = msgspec.json.decode(turn.waits or b"[]")
    name = next((each["name"] for each in waits if each["kind"] == "signal" and each["name"] in signals), None)
    again = await runner.begin(turn, Status.SUSPENDED, signals=() if name is None else (name,))
    if name is not None:
        signals.remove(name)
        again.timers = {
            each["key"]: (uuid.UUID(each["timer_id"]), each["due_at_s"]) for each in waits if each.get("timer_id")
        }
    else:
        due = min((each for each in waits if each.get("timer_id")), key=lambda each: each["due_at_s"])
        again.fired[due["key"]] = uuid.UUID(due["timer_id"])
    return again


def signals_of(function: Any) -> list[str]:
    """What is sent to it."""
    if function in (old_workflows.stop_button, old_workflows.stopped_in_the_same_moment):
        return ["stop", "go"]
    return {"with_waits": ["go", "go"], "in_line": []}.get(function.__name__, ["go"])


async def record(function: Any) -> dict[str, Any]:
    """One history, from the turn's start to its end; or to its last rest, when that build could not go on from there
    (and there is no result).
    """
    old_workflows.ran.clear()
    old_workflows.failed.clear()
    runner = runner_of(function)
    try:
        turn = await play(runner, await runner.begin(), signals_of(function))
    finally:
        runner.threads.close()
    assert turn.status in (Status.COMPLETED, Status.PARKED), (turn.status, turn.error)
    rows = [*turn.history, *(turn.events if turn.status is Status.COMPLETED else ())]
    return {
        "rows": [[seq, attempt, str(kind), key, bytes(data).decode()] for seq, attempt, kind, key, data in rows],
        "result": msgspec.json.decode(turn.result or b"null"),
        "ran": list(old_workflows.ran),
    }


def main(directory: Path) -> None:
    for function in (*old_workflows.GO_ON, *old_workflows.PARTED):
        path = directory / f"{function.__name__}.json"
        if not path.exists():
            path.write_text(json.dumps(asyncio.run(record(function)), indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

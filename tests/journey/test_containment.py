"""Whatever the code of a turn raises, wherever: its own turn hears of it, and nobody else on the worker does."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, hold_steps
from tests.harness.fleet import Fleet
from tests.journey.containment_workflows import ERRORS, PLACES

_WORKFLOWS = Path(__file__).with_name("containment_workflows.py")
_UNHEARD = {"left_alone", "callback", "timer", "done_callback", "finalizer", "generator"}


@pytest.fixture
def settings() -> dict[str, str]:
    return {"ARGOSY_WORKFLOWS": str(_WORKFLOWS)}


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_nothing_that_code_raises_disturbs_anybody_else(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    (worker,) = idle_fleet.start(1)
    bystanders = await hold_steps(client, latch, ["bystander"])

    places = {
        await client.post(f"{how}-{place}-{error}", how, place=place, error=error): (place, error)
        for how in ("in_workflow", "in_step")
        for place in PLACES
        for error in ERRORS
    }
    bodies = [
        await client.post(f"{how}-{error}", how, error=error)
        for how in ("in_thread", "in_synchronous")
        for error in ERRORS
    ]
    waits = [
        await client.post(f"{how}-{error}", how, error=error)
        for how in ("at_suspend", "at_suspend_synchronously")
        for error in ERRORS
    ]
    await client.until_status(waits, {"suspended"})
    for turn in waits:
        await client.signal(turn, "go", 7)
    turns = await client.until_status([*places, *bodies, *waits])
    latch.release()
    await client.until_status(bystanders)

    for turn, (place, error) in places.items():
        expected = "completed" if place in _UNHEARD else "failed"
        assert turns[turn]["status"] == expected, (place, error, turns[turn]["error"])
    assert {turns[turn]["status"] for turn in bodies} == {"failed"}
    assert {(turns[turn]["status"], turns[turn]["result"]) for turn in waits} == {("completed", 7)}
    await client.judge()
    text = worker.log.read_text()
    for noise in ("Task was destroyed", "coroutine ignored", "Exception ignored in"):
        assert noise not in text, text[text.index(noise) - 500 : text.index(noise) + 1500]
    assert await asyncio.to_thread(worker.terminate) == 0

"""What the examples of docs/workflows.md come to, and a run of all of them at once on a fleet."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.checker.seen import Event
from tests.harness.client import Client

WORKFLOWS: Final = Path(__file__).with_name("pattern_workflows.py")


_ARRIVED: Final = ("StepFailedError", "map of Bern", "map of Rome")
_EVENTS: Final = [
    "weather of Oslo; weather of Rome",
    "map of Rome; no broken",
    "after 7 messages: go to Rome",
    "refused: something forbidden",
]


class Expected(NamedTuple):
    """Of one pattern. result: itself, or whether a result is right; steps: how many may be recorded (what nobody awaits
    any more may be or not), empty: as many as the signal let it; ends: its status.
    """

    result: Any | Callable[[Any], bool]
    steps: Collection[int]
    ends: str = "completed"


def _are_in_time(arrived: list[str]) -> bool:
    """One of four always takes too long; whoever was under way when the worker was killed may, too."""
    in_time = [each for each in arrived if each != "TimeoutError"]
    return (
        len(arrived) == 4 and len(in_time) < 4 and len(set(in_time)) == len(in_time) and set(in_time) <= set(_ARRIVED)
    )


def _halves_are_equal(result: list[Any]) -> bool:
    """What was recorded before the signal is what the code that ran again has."""
    half = len(result) // 2
    return bool(half) and result[:half] == result[half:]


EXPECTED: Final[dict[str, Expected]] = {
    "branches": Expected([f"{name}'s editor, whom {name} says so says so" for name in ("Ada", "Bob", "Cy")], {9}),
    "first": Expected(["Bob says so", "Bob says so"], {2}),
    # Who comes first is a matter of how fast the machine is.
    "arrivals": Expected(lambda result: sorted(result or []) == ["Ada says so", "Bob says so", "Cy says so"], {6}),
    "errors": Expected(["the quick one is broken"] * 2, {2, 3}),
    "group": Expected(["the quick one is broken"] * 2, {2}),
    "alarm": Expected(["too late", "too late"], {1}),
    "stop_button": Expected(lambda result: result[0] == result[1] >= 2, ()),
    "interruptible": Expected(lambda result: result[0] == result[1] >= 2, ()),
    "reminders": Expected(["decided: go", True], ()),
    "deadline": Expected(["the fallback says so", "the other fallback says so"], {2}),
    "messages": Expected([1, 1, ["a question", "an answer"]], {2}),
    "cause": Expected(["RuntimeError", "KeyError"] * 2, {2}),
    "variables": Expected(["the workflow"] * 3, {2}),
    "team": Expected(lambda result: len(result) == 12 and _halves_are_equal(result), {13}),
    "patient": Expected("go", {0}),
    "plain": Expected(["Ada says so; Bob is broken", "Cy says so"], {4}),
    "tidy": Expected(["Ada says so", "closed"], {2}),
    "exits": Expected("SystemExit", {1, 2}, "failed"),
    "agent_of_nodes": Expected(
        [
            ["request", "tools", "request", "tools", "request"],
            ["weather of Rome", "weather of Oslo", "map of Rome", "retry: no broken"],
            "after 7 messages: go to Rome",
            4,
        ],
        {7},
    ),
    "agent_of_events": Expected(lambda result: result[0] == _EVENTS, {10, 11, 12}),
    "agent_of_anyio": Expected(
        # Time passes while no worker is there, so the limit of one may come before the answer of another.
        lambda result: _are_in_time(result[0]) and result[1:] == [True, "map of Oslo", "go", "fine"],
        (),
    ),
    "stubborn": Expected("go", {0}),
    "stubborn_thread": Expected("go", {0}),
}
# What gives up a step that takes long. While a turn is handed over in such a step nobody gives it up.
_GIVING_UP: Final = ("first", "group", "alarm", "deadline", "agent_of_anyio")
STEADY: Final = tuple(name for name in EXPECTED if name not in (*_GIVING_UP, "stop_button", "interruptible"))
_STOPPED: Final = ("stop_button", "interruptible")
_STOPPED_AFTER_STEPS: Final = 3


class Patterns:
    """A turn of each pattern, in a session of its own. told: the file in which steps say that they begin."""

    def __init__(self, client: Client, told: Path) -> None:
        self._client = client
        self._told = told
        self._turns: dict[tuple[str, int], str] = {}
        self._waves = 0

    async def post(self, names: Collection[str] = tuple(EXPECTED)) -> None:
        """These begin."""
        self._waves += 1
        lines = [(f"{name}-{self._waves}", {"workflow": name}) for name in names]
        turns = await self._client.batch(lines)
        self._turns |= {(name, self._waves): turn for name, turn in zip(names, turns, strict=True)}

    async def until_begun(self, steps: int, within_s: float = 20.0) -> None:
        """Returns when so many steps have begun, of all patterns together."""
        async with asyncio.timeout(within_s):
            while sum(self._begun().values()) < steps:  # noqa: ASYNC110 — it is the workers that write the file
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Press the stop buttons, each when a few steps are done."""
        for name in _STOPPED:
            turn = self._turns[name, 1]
            async with asyncio.timeout(20):
                while sum(n for key, n in self._begun().items() if key[0] == turn) <= _STOPPED_AFTER_STEPS:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await self._client.signal(turn, "stop", "stop")

    async def until_given_up(self) -> None:
        """Returns when each that gives up a step has done so."""
        await self.until_suspended({(name, 1): self._turns[name, 1] for name in _GIVING_UP})

    async def until_suspended(self, turns: dict[tuple[str, int], str] | None = None) -> None:
        """Returns when each waits for its go."""
        deadline_s = time.monotonic() + 40
        for name, turn_id in (turns or self._turns).items():
            while True:
                turn = await self._client.turn(turn_id)
                if any(wait["name"] == "go" for wait in turn["waits"]):
                    break
                assert turn["status"] in ("accepted", "queued", "running", "suspended"), (name, turn)
                assert time.monotonic() < deadline_s, (name, turn, await self._client.events(turn_id))
                await asyncio.sleep(0.05)

    async def go(self) -> None:
        """The signal that all of them wait for."""
        await asyncio.gather(*(self._client.signal(turn, "go", "go") for turn in self._turns.values()))

    async def judge(self, *, is_repeatable: bool = False) -> None:
        """All end as they should, and no step whose outcome is recorded has run again. is_repeatable: steps that were
        in flight when a worker was killed may have run twice.
        """
        try:
            ended = await self._client.until_status(self._turns.values())
        except AssertionError as error:
            names = {turn: name for (name, _), turn in self._turns.items() if turn in str(error)}
            told = [await self._client.events(turn) for turn in names]
            raise AssertionError(f"{names}: {told}") from error
        begun = self._begun()
        wrong = []
        for (name, _), turn_id in self._turns.items():
            turn, expected = ended[turn_id], EXPECTED[name]
            found = turn["result"] if turn["status"] == "completed" else (turn["error"] or {}).get("type")
            is_right = expected.result(found) if callable(expected.result) else found == expected.result
            if turn["status"] != expected.ends or not is_right:
                wrong.append(f"{name} {turn['status']}: {found!r}, {turn.get('error')}, {turn.get('reason')}")
            wrong += [
                f"{name}: {each}"
                for each in _wrong_steps(
                    await self._client.events(turn_id), expected.steps, turn_id, begun, is_repeatable
                )
            ]
        assert not wrong, "\n".join(wrong)

    def _begun(self) -> Counter[tuple[str, str, int]]:
        """How often each step began: (turn, key, attempt) → times."""
        if not self._told.exists():
            return Counter()
        return Counter(
            (turn, key, attempt) for turn, key, attempt in map(json.loads, self._told.read_text().splitlines())
        )


def _wrong_steps(
    events: tuple[Event, ...],
    expected: Collection[int],
    turn_id: str,
    begun: Counter[tuple[str, str, int]],
    is_repeatable: bool,
) -> list[str]:
    recorded = {event.key: event.attempt for event in events if event.type in ("step.completed", "step.failed")}
    wrong = []
    if expected and len(recorded) not in expected:
        wrong.append(f"{len(recorded)} steps were recorded and not {set(expected)}: {sorted(recorded)}")
    for (turn, key, attempt), times in begun.items():
        if turn == turn_id and key in recorded and attempt > recorded[key]:
            wrong.append(f"{key} was recorded in attempt {recorded[key]}, and began again in {attempt}")
        if turn == turn_id and times > 1 and not is_repeatable:
            wrong.append(f"{key} began {times} times in attempt {attempt}")
    if not is_repeatable:
        keys = Counter(key for (turn, key, _) in begun if turn == turn_id)
        wrong += [f"{key} began in {times} attempts" for key, times in keys.items() if times > 1]
    return wrong

"""A part that ends by itself is started again: more and more slowly when it ends again and again."""

import asyncio

import pytest

from argosy.local.supervisor import Ended, Part, Supervisor, TaskPart, restart_delay_s
from tests.harness.hand_clock import HandClock


@pytest.mark.parametrize(
    ("previous_s", "lived_s", "delay_s"),
    [
        (None, 0.1, 0.5),
        (0.5, 0.1, 1.0),
        (4.0, 59.9, 8.0),
        (8.0, 0.1, 10.0),
        (10.0, 0.1, 10.0),
        (10.0, 60.0, 0.5),
        (None, 86_400, 0.5),
    ],
)
def test_the_delay_doubles_until_a_child_has_lived_for_a_minute(
    previous_s: float | None, lived_s: float, delay_s: float
) -> None:
    assert restart_delay_s(previous_s, lived_s) == delay_s


class Scripted:
    """A part whose end the test decides."""

    label = "the part"

    def __init__(self) -> None:
        self.starts = 0
        self.how: Ended | None = None

    def start(self) -> None:
        self.starts += 1
        self.how = None

    def ended(self) -> Ended | None:
        return self.how


class Said:
    """Remembers what it was to say."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, float]] = []

    def say_ended(self, part: Part, ended: Ended, delay_s: float) -> None:
        self.ends.append((ended.reason, delay_s))


def test_a_part_that_ends_is_started_after_its_pause_and_others_meanwhile() -> None:
    clock, said = HandClock(), Said()
    told, supervisor = said.ends, Supervisor(clock, said)
    broken, other = Scripted(), Scripted()
    supervisor.start(broken)
    supervisor.start(other)

    for _ in range(3):
        broken.how = Ended("exit code 1", 1)
        assert supervisor.first_ended() == (broken, Ended("exit code 1", 1))
        supervisor.look()
        clock.now_s += told[-1][1] - 0.25
        supervisor.look()
        assert broken.how is not None
        clock.now_s += 0.25
        supervisor.look()
        assert broken.how is None

    assert told == [("exit code 1", 0.5), ("exit code 1", 1.0), ("exit code 1", 2.0)]
    assert (broken.starts, other.starts) == (4, 1)


def test_a_part_that_is_forgotten_is_not_started_again() -> None:
    said, part = Said(), Scripted()
    supervisor = Supervisor(HandClock(), said)
    supervisor.start(part)
    part.how = Ended("exit code 1", 1)

    supervisor.forget(part)
    supervisor.look()

    assert (part.starts, supervisor.first_ended(), said.ends) == (1, None, [])


async def test_a_task_says_how_it_ended_and_ends_when_it_is_told_to() -> None:
    async def breaks(_: asyncio.Event) -> None:
        raise ValueError("it broke")

    async def waits(stopping: asyncio.Event) -> None:
        await stopping.wait()

    broken, waiting = TaskPart("broken", breaks), TaskPart("waiting", waits)
    broken.start()
    waiting.start()
    await asyncio.sleep(0)

    assert (ended := broken.ended()) is not None
    assert (ended.reason, type(ended.error)) == ("it broke", ValueError)
    assert waiting.ended() is None
    await waiting.stop()
    assert waiting.ended() == Ended("it ended by itself")

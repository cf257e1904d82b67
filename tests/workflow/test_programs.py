"""Random programs see in every replay what they saw at first (tests/workflow/{programs,world,play}.py)."""

import asyncio
import gc
import random
import sys
from collections.abc import Iterator
from types import CoroutineType
from unittest import mock

import pytest
import structlog
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from argosy.turn.events import Event
from argosy.workflow.driver import Driver
from argosy.workflow.turn_loop import TurnLoop
from argosy.workflow.turn_task import TurnTask
from tests.workflow import programs
from tests.workflow.play import Ended, Play
from tests.workflow.programs import Choices, program_of

# asyncio.gather in a `finally` is refused when the frame is closed; what it was given is nobody's then.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")

_PROGRAMS = st.binary(min_size=20, max_size=140)
_MOMENTS = st.binary(min_size=40, max_size=250)
_GARBAGE_EVERY = 32
_before: list[object] = []  # what other tests have left
_SETTINGS = settings(
    deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def world_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.SelectorEventLoop()
    gc.collect()
    _before[:] = _left()
    # What a frame raises while Python frees it: pytest would keep that, with all the frames it came through.
    with mock.patch.object(sys, "unraisablehook", _pass_over), structlog.testing.capture_logs():
        yield loop
        gc.collect()
    loop.close()


def _pass_over(_: object) -> None:
    pass


def check(loop: asyncio.AbstractEventLoop, program: bytes, moments: bytes) -> None:
    """What must hold of one program, with these moments of everything."""
    loop.run_until_complete(_check(program_of(program), moments))
    if sum(program) % _GARBAGE_EVERY == 0:
        gc.collect()
        before = {id(each) for each in _before}
        assert [each for each in _left() if id(each) not in before] == []


async def _check(program: programs.Node, moments: bytes) -> None:
    note(repr(program))
    plain = await Play(program, Choices(moments), may_disturb=False).play()
    note(f"undisturbed: {plain.told}")
    await _check_over_again(program, plain)
    await _check_same_order(program, moments[::-1], plain)
    interrupted = await Play(program, Choices(moments[20:]), may_disturb=True).play()
    note(f"interrupted: {interrupted.told}")
    await _check_over_again(program, interrupted)
    await _check_same_order(program, moments, interrupted)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def _check_over_again(program: programs.Node, first: Ended) -> None:
    again = await Play(program, Choices(b""), may_disturb=False).replay(first)
    assert again.told == first.told
    assert again.saw == first.saw
    assert again.ran == []
    assert again.rows == first.rows


async def _check_same_order(program: programs.Node, moments: bytes, first: Ended) -> None:
    """With any number of interruptions, but the outcomes in the same order."""
    if first.is_handed_over:
        return
    again = await Play(program, Choices(moments), first.outcomes(), may_disturb=True).play()
    assert again.outcomes() == first.outcomes()
    assert again.saw == first.saw
    assert again.told == first.told


def _left() -> list[object]:
    return [each for each in gc.get_objects() if _is_left(each)]


def _is_left(thing: object) -> bool:
    """Whether it is of an attempt."""
    if isinstance(thing, CoroutineType):
        return thing.cr_code.co_filename == programs.__file__
    return isinstance(thing, Driver | TurnLoop | TurnTask)


@given(program=_PROGRAMS, moments=_MOMENTS)
@settings(_SETTINGS, max_examples=200)
def test_programs_see_in_every_replay_what_they_saw_at_first(
    world_loop: asyncio.AbstractEventLoop, program: bytes, moments: bytes
) -> None:
    check(world_loop, program, moments)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(10))
def test_twenty_thousand_programs(world_loop: asyncio.AbstractEventLoop, number: int) -> None:
    @seed(number)
    @given(program=_PROGRAMS, moments=_MOMENTS)
    @settings(_SETTINGS, max_examples=2_000)
    def holds(program: bytes, moments: bytes) -> None:
        check(world_loop, program, moments)

    holds()


def test_random_programs_run_steps_and_are_interrupted(world_loop: asyncio.AbstractEventLoop) -> None:
    """Else all that is said of them here would hold of nothing."""
    chance = random.Random(13)
    ended = [
        world_loop.run_until_complete(
            Play(program_of(chance.randbytes(80)), Choices(chance.randbytes(200)), may_disturb=True).play()
        )
        for _ in range(200)
    ]

    assert sum(len(each.ran) for each in ended) > 200
    assert sum(each.attempts > 1 for each in ended) > 70
    assert sum(len(each.outcomes()) > 2 for each in ended) > 70
    assert sum(any(row[2] == Event.TURN_CANCELLING for row in each.rows) for each in ended) > 10

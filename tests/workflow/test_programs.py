"""Random programs see in every replay what they saw at first (tests/workflow/{programs,world,play}.py)."""

import asyncio
import gc
import os
from collections.abc import Iterator
from types import CoroutineType

import pytest
import structlog
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from argosy.workflow.driver import Driver
from argosy.workflow.turn_loop import TurnLoop, TurnTask
from tests.workflow import programs
from tests.workflow.play import Ended, Play
from tests.workflow.programs import Choices, program_of

_PROGRAMS = st.binary(min_size=24, max_size=160)
_MOMENTS = st.binary(min_size=60, max_size=300)
_SETTINGS = settings(
    deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def world_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.SelectorEventLoop()
    with structlog.testing.capture_logs():
        yield loop
    loop.close()


def check(loop: asyncio.AbstractEventLoop, program: bytes, moments: bytes) -> None:
    loop.run_until_complete(_check(program, moments))


async def _check(program_bytes: bytes, moments: bytes) -> None:
    program = program_of(program_bytes)
    note(repr(program))
    plain = await Play(program, Choices(moments), may_disturb=False).play()
    note(f"undisturbed: {plain.told}")
    await _check_over_again(program, plain)
    # The same order of outcomes, with any number of interruptions.
    same = await Play(program, Choices(moments[::-1]), plain.outcomes(), may_disturb=True).play()
    assert same.outcomes() == plain.outcomes()
    assert same.saw == plain.saw
    assert same.told == plain.told
    # Any order.
    other = await Play(program, Choices(moments[20:]), may_disturb=True).play()
    await _check_over_again(program, other)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


async def _check_over_again(program: programs.Node, first: Ended) -> None:
    again = await Play(program, Choices(b""), may_disturb=False).replay(first)
    assert again.told == first.told
    assert again.saw == first.saw
    assert again.ran == []
    assert again.rows == first.rows


@given(program=_PROGRAMS, moments=_MOMENTS)
@settings(_SETTINGS, max_examples=int(os.environ.get("PROGRAMS", "250")))
def test_programs_see_in_every_replay_what_they_saw_at_first(
    world_loop: asyncio.AbstractEventLoop, program: bytes, moments: bytes
) -> None:
    check(world_loop, program, moments)

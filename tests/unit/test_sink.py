"""The sink that crash tests count effects at: numbers, repetitions, failures, and speed enough not to be the limit."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.checker.sink import Sink
from tests.checker.sink_client import SinkError, cause, cause_synchronously


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.stop()


def _effect(turn_id: str, step_key: str = "a", **more: Any) -> dict[str, Any]:
    key = f"{turn_id}/{step_key}"
    return {"turn_id": turn_id, "step_key": step_key, "idempotency_key": key, "session": "s", **more}


async def test_effects_are_numbered_in_the_order_of_receipt(sink: Sink) -> None:
    await cause(sink.address, _effect("t1"))
    await cause(sink.address, _effect("t2"))
    first, second = sink.effects()
    assert (first.turn_id, second.turn_id) == ("t1", "t2")
    assert first.started < first.finished < second.started < second.finished


async def test_a_repeated_key_gets_the_first_ones_number_and_both_are_kept(sink: Sink) -> None:
    first = await cause(sink.address, _effect("t1"))
    again = await asyncio.to_thread(cause_synchronously, sink.address, _effect("t1"))
    assert first == again
    assert len(sink.effects()) == 2


async def test_a_key_fails_as_often_as_it_was_told_to(sink: Sink) -> None:
    for _ in range(2):
        with pytest.raises(SinkError):
            await cause(sink.address, _effect("t1", fail_times=2))
    await cause(sink.address, _effect("t1", fail_times=2))
    assert [effect.succeeded for effect in sink.effects()] == [False, False, True]


async def test_two_slow_effects_at_once_overlap_in_their_numbers(sink: Sink) -> None:
    await asyncio.gather(*(cause(sink.address, _effect(turn, delay_s=0.05)) for turn in ("t1", "t2")))
    first, second = sink.effects()
    assert first.started < second.started < first.finished


async def test_the_sink_takes_thousands_of_effects_a_second(sink: Sink) -> None:
    async def cause_some(worker: int) -> None:
        for number in range(100):
            await cause(sink.address, _effect(f"t{worker}-{number}"))

    started = time.monotonic()
    await asyncio.gather(*map(cause_some, range(20)))
    elapsed_s = time.monotonic() - started
    assert len(sink.effects()) == 2000
    assert elapsed_s < 4, f"{2000 / elapsed_s:.0f} effects/s"


async def test_a_sink_that_was_reset_knows_nothing_of_what_came_before(sink: Sink) -> None:
    first = await cause(sink.address, _effect("t1"))
    await asyncio.to_thread(sink.reset)
    assert sink.effects() == ()
    assert await cause(sink.address, _effect("t1")) == first

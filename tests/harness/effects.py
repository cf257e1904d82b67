"""Steps in flight: they are held for as long as a test wants, and the sink knows that they have begun."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from tests.checker.sink import Sink
from tests.harness.client import Client


async def until_reached(sink: Sink, turns: Collection[str], times: int = 1, within_s: float = 15.0) -> float:
    """Returns when of every turn at least so many effects were received; how long that took, in seconds."""
    started_s = time.monotonic()
    while True:
        reached = Counter(effect.turn_id for effect in await asyncio.to_thread(sink.effects))
        missing = [turn for turn in turns if reached[turn] < times]
        took_s = time.monotonic() - started_s
        if not missing:
            return took_s
        assert took_s < within_s, f"after {within_s} s {len(missing)} of {len(turns)} turns have no {times} effects"
        await asyncio.sleep(0.02)


class Latch:
    """What steps `hold` for: they run until it is released."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "released"

    @property
    def path(self) -> str:
        """For a job's `until`."""
        return str(self._path)

    def release(self) -> None:
        self._path.touch()


async def hold_steps(client: Client, latch: Latch, sessions: Iterable[str], workflow: str = "holds") -> list[str]:
    """A turn in each of these sessions; each has a step in flight when this returns, which runs until the release."""
    turns = await asyncio.gather(*(client.post(name, workflow, effects=3, until=latch.path) for name in sessions))
    await until_reached(client.sink, turns, times=2)
    return list(turns)

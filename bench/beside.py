"""This checkout and another one (the version before, say) side by side: the same small turns, in pairs of rounds.

Both fleets are there all the time, each on servers of its own, and take turns; so whatever else the machine does meets
both. What is told is the mean over the pairs, with its standard error; runs differ by more than that.
"""

import asyncio
import contextlib
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from bench.report import Finding

_ROUND_TURNS = 10_000
_WARM_ROUNDS = 3
_START_S = 120.0
_ROUND_S = 300.0
_STOP_S = 60.0
_ONE_SIDE = Path(__file__).parent / "one_side.py"


class _Side:
    """One checkout, with its own Python. rates: turns/s; cpu_us: of its worker, a turn."""

    def __init__(
        self, process: asyncio.subprocess.Process, asks: asyncio.StreamWriter, answers: asyncio.StreamReader
    ) -> None:
        self._process, self._asks, self._answers = process, asks, answers
        self.rates: list[float] = []
        self.cpu_us: list[float] = []

    @classmethod
    async def start(cls, python: str, checkout: Path) -> "_Side":
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            python, "-P", str(_ONE_SIDE), cwd=checkout, stdin=pipe, stdout=pipe
        )
        assert process.stdin is not None  # both were asked for
        assert process.stdout is not None
        side = cls(process, process.stdin, process.stdout)
        await side.answer(_START_S)
        return side

    async def warm(self) -> None:
        await self._ask()

    async def round(self) -> None:
        told = await self._ask()
        self.rates.append(told["rate"])
        self.cpu_us.append(told["cpu_us"])

    async def stop(self) -> None:
        """It stops its servers."""
        self._asks.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()

    async def _ask(self) -> Any:
        self._asks.write(b"%d\n" % _ROUND_TURNS)
        return await self.answer(_ROUND_S)

    async def answer(self, within_s: float) -> Any:
        async with asyncio.timeout(within_s):
            while line := await self._answers.readline():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    return json.loads(line)["beside"]
                sys.stdout.write(line.decode())  # words of another process
        raise RuntimeError("one side has ended; what it said is above")


async def measure(other: Path, pairs: int) -> list[Finding]:
    """other: the folder of the other checkout, installed with `make .venv/installed-dev`."""
    here = Path(__file__).parent.parent
    sides: list[_Side] = []
    try:
        for python, checkout in ((str(other / ".venv/bin/python"), other), (sys.executable, here)):
            sides.append(await _Side.start(python, checkout))
        for _ in range(_WARM_ROUNDS):
            for side in sides:
                await side.warm()
        for number in range(pairs):
            for side in sides if number % 2 else reversed(sides):
                await side.round()
    finally:
        for side in sides:
            await side.stop()
    that, this = sides
    # Of logarithms: the mean of ratios is above 1 for two sides that are the same and vary.
    rates = [math.log(mine / its) for mine, its in zip(this.rates, that.rates, strict=True)]
    rate, error = statistics.mean(rates), _error(rates)
    less_us = [mine - its for mine, its in zip(this.cpu_us, that.cpu_us, strict=True)]
    cpu = f"{statistics.median(this.cpu_us):.0f} µs against {statistics.median(that.cpu_us):.0f} µs"
    return [
        Finding(
            f"rate of small turns against the other, {pairs} pairs", f"{math.exp(rate):.2f} ± {error:.2f}", "", None
        ),
        Finding("worker's CPU a turn, median", cpu, "", None),
        Finding(
            "worker's CPU a turn less the other's, µs",
            f"{statistics.mean(less_us):+.1f} ± {_error(less_us):.1f}",
            "",
            None,
        ),
    ]


def _error(numbers: list[float]) -> float:
    return statistics.stdev(numbers) / math.sqrt(len(numbers))

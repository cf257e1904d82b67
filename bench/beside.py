"""This checkout and another one (the version before, say) side by side: throughput, latency and recovery, in pairs.

Both fleets are there all the time, each on servers of its own, and take turns; so whatever else the machine does meets
both. What is told is the mean over the pairs, with its standard error; runs differ by more than that.
"""

import asyncio
import contextlib
import json
import math
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import Finding

_START_S = 120.0
_ROUND_S = 300.0
_STOP_S = 60.0
_ONE_SIDE = Path(__file__).parent / "one_side.py"


class _Measure(NamedTuple):
    """What both sides are asked for. times: how often in one round; warm: rounds before the first that counts."""

    name: str
    times: int
    pairs: int
    warm: int = 1


_QUICK = _Measure("turns", 10_000, 8, 3), _Measure("latency", 40, 2), _Measure("recovery", 1, 2)
_WHOLE = _Measure("turns", 10_000, 40, 3), _Measure("latency", 60, 20), _Measure("recovery", 1, 12)


class _Side:
    """One checkout, with its own Python. told: what it measured, round by round, by its name."""

    def __init__(
        self, process: asyncio.subprocess.Process, asks: asyncio.StreamWriter, answers: asyncio.StreamReader
    ) -> None:
        self._process, self._asks, self._answers = process, asks, answers
        self.told: defaultdict[str, list[float]] = defaultdict(list)

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

    async def round(self, measure: _Measure, *, is_warm: bool) -> None:
        self._asks.write(f"{measure.name} {measure.times}\n".encode())
        told = await self.answer(_ROUND_S)
        for name, value in told.items() if is_warm else ():
            self.told[name].append(value)

    async def stop(self) -> None:
        """It stops its servers."""
        self._asks.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()

    async def answer(self, within_s: float) -> Any:
        async with asyncio.timeout(within_s):
            while line := await self._answers.readline():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    return json.loads(line)["beside"]
                sys.stdout.write(line.decode())  # words of another process
        raise RuntimeError("one side has ended; what it said is above")


async def measure(other: Path, *, is_quick: bool) -> list[Finding]:
    """other: the folder of the other checkout, installed with `make .venv/installed-dev`."""
    here = Path(__file__).parent.parent
    sides: list[_Side] = []
    try:
        for python, checkout in ((str(other / ".venv/bin/python"), other), (sys.executable, here)):
            sides.append(await _Side.start(python, checkout))
        for each in _QUICK if is_quick else _WHOLE:
            for number in range(-each.warm, each.pairs):
                for side in sides if number % 2 else reversed(sides):
                    await side.round(each, is_warm=number >= 0)
    finally:
        for side in sides:
            await side.stop()
    that, this = sides
    # Of logarithms: the mean of ratios is above 1 for two sides that are the same and vary.
    rates = [math.log(mine / its) for mine, its in zip(this.told["rate"], that.told["rate"], strict=True)]
    ratio = f"{math.exp(statistics.mean(rates)):.2f} ± {_error(rates):.2f}"
    return [
        Finding(f"rate of small turns against the other, {len(rates)} pairs", ratio, "", None),
        *_less("worker's CPU a turn, µs", this.told["cpu_us"], that.told["cpu_us"]),
        *_less("20 turns a second, until the 202, ms", this.told["accepted_ms"], that.told["accepted_ms"]),
        *_less("20 turns a second, until the end, ms", this.told["completed_ms"], that.told["completed_ms"]),
        *_less("20 signals a second, until the code goes on, ms", this.told["signalled_ms"], that.told["signalled_ms"]),
        *_less("kill -9, until the last step ran again, ms", this.told["again_ms"], that.told["again_ms"]),
        *_less("kill -9, until the last new turn ended, ms", this.told["new_ms"], that.told["new_ms"]),
    ]


def _less(what: str, mine: list[float], its: list[float]) -> list[Finding]:
    """Return the medians of both sides, and the mean over the pairs of what this side has more, or less."""
    differences = [a - b for a, b in zip(mine, its, strict=True)]
    medians = f"{statistics.median(mine):.1f} against {statistics.median(its):.1f}"
    more = f"{statistics.mean(differences):+.1f} ± {_error(differences):.1f}"
    return [
        Finding(f"{what}: medians of {len(mine)} pairs", medians, "", None),
        Finding(f"{what}: more", more, "", None),
    ]


def _error(numbers: list[float]) -> float:
    return statistics.stdev(numbers) / math.sqrt(len(numbers))

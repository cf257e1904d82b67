"""Metrics for what happens thousands of times a second on one event loop: a count costs a few additions and no lock."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class StepTally(Collector):
    """Tries of steps: a counter by outcome, and a histogram of their durations. completed, failed, retried: how many so
    far. They are changed on one event loop and read from any thread, which may see a try in the histogram before it is
    in the counter.
    """

    def __init__(self, steps: tuple[str, str], seconds: tuple[str, str], buckets_s: Sequence[float]) -> None:
        """steps, seconds: name and description of each; buckets_s: upper bounds, seconds, ascending."""
        self.completed = self.failed = self.retried = 0
        self._steps, self._seconds = steps, seconds
        self._bounds = tuple(float(each) for each in buckets_s)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum_s = 0.0
        REGISTRY.register(self)

    def took(self, seconds: float) -> None:
        """Count the duration of a try that has ended."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_s += seconds

    def collect(self) -> Iterator[Metric]:
        steps = CounterMetricFamily(*self._steps, labels=["outcome"])
        for outcome in ("completed", "failed", "retried"):
            steps.add_metric([outcome], getattr(self, outcome))
        yield steps
        below = [float(count) for count in accumulate(self._counts)]
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        seconds = HistogramMetricFamily(*self._seconds)
        seconds.add_metric([], buckets=list(zip(names, below, strict=True)), sum_value=self._sum_s)
        yield seconds

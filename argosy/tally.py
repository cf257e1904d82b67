"""Metrics for what happens thousands of times a second on one event loop: a count costs a few additions and no lock."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class SecondsTally(Collector):
    """A histogram of durations, by one label whose values are all known. It is changed on one event loop and read from
    any thread.
    """

    def __init__(
        self, name: str, meaning: str, buckets_s: Sequence[float], label: str = "", values: Sequence[str] = ("",)
    ) -> None:
        """buckets_s: upper bounds, seconds, ascending. label: empty: none, and the only value is empty, too."""
        self._about = name, meaning
        self._label = label
        self._bounds = tuple(float(each) for each in buckets_s)
        self._counts = {value: [0] * (len(self._bounds) + 1) for value in values}
        self._sums_s = dict.fromkeys(values, 0.0)

    def took(self, seconds: float, value: str = "") -> None:
        """Count one duration. One below zero, of two clocks that differ, counts as 0."""
        if seconds < 0.0:
            seconds = 0.0
        self._counts[value][bisect_left(self._bounds, seconds)] += 1
        self._sums_s[value] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(*self._about, labels=[self._label] if self._label else None)
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        for value, counts in self._counts.items():
            below = [float(count) for count in accumulate(counts)]
            labels = [value] if self._label else []
            family.add_metric(labels, buckets=list(zip(names, below, strict=True)), sum_value=self._sums_s[value])
        yield family


class StepTally(Collector):
    """Tries of steps: a counter by outcome, and a histogram of their durations. completed, failed, retried: how many so
    far. They are changed on one event loop and read from any thread, which may see a try in the histogram before it is
    in the counter.
    """

    def __init__(self, steps: tuple[str, str], seconds: tuple[str, str], buckets_s: Sequence[float]) -> None:
        """steps, seconds: name and description of each; buckets_s: upper bounds, seconds, ascending."""
        self.completed = self.failed = self.retried = 0
        self._steps = steps
        self._seconds = SecondsTally(*seconds, buckets_s)
        self.took = self._seconds.took

    def collect(self) -> Iterator[Metric]:
        steps = CounterMetricFamily(*self._steps, labels=["outcome"])
        for outcome in ("completed", "failed", "retried"):
            steps.add_metric([outcome], getattr(self, outcome))
        yield steps
        yield from self._seconds.collect()

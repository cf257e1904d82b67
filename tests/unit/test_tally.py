"""What /metrics says of steps is what prometheus_client's own counter and histogram say."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.registry import Collector

from argosy.tally import StepTally

STEPS, SECONDS = ("tallied_steps", "Tries of steps, by outcome"), ("tallied_step_seconds", "Time of one try of a step")
BUCKETS_S = (0.001, 0.01, 0.5, 1.0, 60, 1800)
TOOK_S = (0.0, 0.001, 0.0011, 0.01, 0.7, 60.0, 60.1, 1_800.0, 9_999.0)


@pytest.fixture
def tally() -> Iterator[StepTally]:
    tally = StepTally(STEPS, SECONDS, BUCKETS_S)
    yield tally
    REGISTRY.unregister(tally)


def text_of(*collectors: Collector) -> list[str]:
    """Without when each series began, which is told of no tally."""
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_its_text_is_that_of_a_counter_and_a_histogram(tally: StepTally) -> None:
    counter, histogram = (
        Counter(*STEPS, ["outcome"], registry=None),
        Histogram(*SECONDS, buckets=BUCKETS_S, registry=None),
    )
    for outcome, count in (("completed", 5), ("failed", 0), ("retried", 2)):
        counter.labels(outcome=outcome).inc(count)
        setattr(tally, outcome, count)

    for seconds in TOOK_S:
        histogram.observe(seconds)
        tally.took(seconds)

    assert text_of(tally) == text_of(counter, histogram)

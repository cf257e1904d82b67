"""What /metrics says of steps and of turns is what prometheus_client's own counter and histogram say."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.registry import Collector

from argosy.tally import SecondsTally, StepTally

STEPS, SECONDS = ("tallied_steps", "Tries of steps, by outcome"), ("tallied_step_seconds", "Time of one try of a step")
BUCKETS_S = (0.001, 0.01, 0.5, 1.0, 60, 1800)
TOOK_S = (0.0, 0.001, 0.0011, 0.01, 0.7, 60.0, 60.1, 1_800.0, 9_999.0)


def text_of(*collectors: Collector) -> list[str]:
    """Without when each series began, which is told of no tally."""
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_its_text_is_that_of_a_counter_and_a_histogram() -> None:
    tally = StepTally(STEPS, SECONDS, BUCKETS_S)
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


@pytest.mark.parametrize(("label", "values"), [("", ("",)), ("waits_for", ("signal", "sleep"))])
def test_durations_by_a_label_are_told_as_by_a_histogram(label: str, values: tuple[str, ...]) -> None:
    tally = SecondsTally(*SECONDS, BUCKETS_S, label, values)
    histogram = Histogram(*SECONDS, [label] if label else [], buckets=BUCKETS_S, registry=None)
    for value in values:
        child = histogram.labels(value) if label else histogram
        for seconds in TOOK_S:
            child.observe(seconds)
            tally.took(seconds, value)

    assert text_of(tally) == text_of(histogram)


def test_a_duration_of_two_clocks_that_differ_is_none() -> None:
    tally = SecondsTally(*SECONDS, BUCKETS_S)

    tally.took(-3.0)

    assert "tallied_step_seconds_sum 0.0" in text_of(tally)
    assert 'tallied_step_seconds_bucket{le="0.001"} 1.0' in text_of(tally)

"""Metrics of this process."""

from prometheus_client import Counter, Gauge


def value_of(metric: Counter | Gauge) -> float:
    """Return the value of a metric that has no labels."""
    (family,) = metric.collect()
    return next(each.value for each in family.samples if not each.name.endswith("_created"))

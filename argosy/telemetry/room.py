"""How a metric is declared: once, with all that docs/metrics.md says of it (argosy/metrics_table.py)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from argosy.tally import SecondsTally, StepTally

# Every label there is, with what bounds its values. No metric has a session, a turn or a tenant as a label.
LABELS: Final = {
    "code": "the codes of Argosy's errors, problems and calls",
    "endpoint": "the shards, as `argosy shards list` shows them",
    "fate": "a closed list in the code",
    "fault": "a closed list in the code",
    "kind": "a closed list in the code",
    "lane": "the lanes of the fleet",
    "loop": "the loops in the code",
    "method": "the calls of a server",
    "outcome": "a closed list in the code",
    "partition": "the partitions that this process owns, or reads",
    "reason": "the reasons in the code",
    "role": "the roles of `argosy maintain`",
    "route": "the routes of the API, and `none`",
    "stage": "a closed list in the code",
    "state": "a closed list in the code",
    "status": "the statuses of turns, or of HTTP",
    "stream": "`accept` and `flush`",
    "topic": "the topics of `INGEST_TOPICS`",
    "version": "one",
    "waited": "`yes` and `no`",
    "waits_for": "a closed list in the code",
    "where": "a closed list in the code",
    "why": "a closed list in the code",
    "within": "`7d`",
}

# Of what takes up to some ten seconds, and of what may take days.
LATENCY_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LONG_S: Final = (*LATENCY_S, 60, 300, 1800, 7_200, 86_400, 604_800)


class Row(NamedTuple):
    """A metric as the page shows it. name: as it is scraped; buckets: their upper bounds, of a histogram alone."""

    name: str
    kind: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    meaning: str


class Room:
    """The metrics of one part of the house. title: as the page has it; rows: in the order in which they are declared.

    name and labels are as Prometheus's client takes them; it adds `_total` to the name of a counter.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[Row] = []
        ROOMS.append(self)

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        self._add(f"{name}_total", "counter", labels, (), meaning)
        return Counter(name, meaning, labels)

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        self._add(name, "gauge", labels, (), meaning)
        return Gauge(name, meaning, labels)

    def histogram(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = LATENCY_S
    ) -> Histogram:
        self._add(name, "histogram", labels, buckets, meaning)
        return Histogram(name, meaning, labels, buckets=buckets)

    def seconds(
        self, name: str, meaning: str, label: str = "", values: Sequence[str] = ("",), *, buckets: Sequence[float]
    ) -> SecondsTally:
        """Return a histogram for what every turn observes. label: its only one, with all its values."""
        self._add(name, "histogram", (label,) if label else (), buckets, meaning)
        tally = SecondsTally(name, meaning, buckets, label, values)
        REGISTRY.register(tally)
        return tally

    def steps(self, steps: tuple[str, str], seconds: tuple[str, str], buckets: Sequence[float]) -> StepTally:
        self._add(f"{steps[0]}_total", "counter", ("outcome",), (), steps[1])
        self._add(seconds[0], "histogram", (), buckets, seconds[1])
        tally = StepTally(steps, seconds, buckets)
        REGISTRY.register(tally)
        return tally

    def _add(self, name: str, kind: str, labels: Sequence[str], buckets: Sequence[float], meaning: str) -> None:
        self.rows.append(Row(name, kind, tuple(labels), tuple(buckets), meaning))


ROOMS: Final[list[Room]] = []

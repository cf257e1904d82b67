"""Warns when a topic with a retention time is about to delete records that no worker has accepted.

The oldest record that is not accepted yet is the next one delivered: when it is old and the topic keeps records only
for a limited time, records like it are about to be lost. `warning_of` decides (pure); `Retention` logs the warning as
an error, at most once a minute.
"""

from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.log import Batch
from argosy.logs.topic import Topic

log = structlog.get_logger()

_LOUD_FROM: Final = 0.5  # of the time for which records are kept
_SAY_AGAIN_S: Final = 60.0  # a warning a minute: it is of hours and days


def warning_of(age_s: float, kept_s: float, records: str) -> str:
    """Return a warning, or an empty string while there is time.

    age_s: age of the oldest record that is not accepted. kept_s: for how long the topic keeps any record. records: what
    the records are.
    """
    if age_s < _LOUD_FROM * kept_s:
        return ""
    return (
        f"the oldest record that is not accepted is {age_s:.0f} s old, and the topic keeps records for {kept_s:.0f} s: "
        f"{records} that were answered 202 are lost soon; set its retention.ms to -1 now, and start more workers"
    )


class Retention:
    """Looks at delivered batches.

    kept_s: for how long the topic keeps records; None when it keeps them until they are trimmed: then a look costs
    nothing.
    """

    def __init__(self, topic: Topic, clock: Clock) -> None:
        self.kept_s: float | None = None
        self._topic = topic
        self._clock = clock
        self._said_at_s = float("-inf")

    def look(self, batch: Batch) -> None:
        """Log the warning when the first record of a delivered batch is too old."""
        if self.kept_s is None or not batch.records:
            return
        age_s = self._clock.unix_ms() / 1000 - batch.records[0].timestamp_ms / 1000
        now_s = self._clock.monotonic_s()
        warning = warning_of(age_s, self.kept_s, self._topic.wording.records)
        if warning and now_s - self._said_at_s >= _SAY_AGAIN_S:
            self._said_at_s = now_s
            log.error(
                telemetry.TOPIC_WARNING, warning=f"topic {self._topic.name}, partition {batch.partition}: {warning}"
            )

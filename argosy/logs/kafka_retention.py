"""A topic that forgets by time, against how far behind its readers are.

What is delivered is the oldest record that is not accepted yet: when it is old, and the topic keeps records only so
long, others like it are about to be lost. `warning_of` decides, pure; `Retention` says it, loudly, once in a while.
"""

from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.log import Batch

log = structlog.get_logger()

_LOUD_FROM: Final = 0.5  # of the time that records are kept
_SAY_AGAIN_S: Final = 60.0


def warning_of(age_s: float, kept_s: float) -> str:
    """age_s: of the oldest record that is not accepted; kept_s: of any record. Empty while there is time."""
    if age_s < _LOUD_FROM * kept_s:
        return ""
    return (
        f"the oldest record that is not accepted is {age_s:.0f} s old, and the topic keeps records for {kept_s:.0f} s: "
        "turns that were answered 202 are lost soon; set its retention.ms to -1 now, and start more workers"
    )


class Retention:
    """kept_s: None when records are kept until they are trimmed; then a look costs nothing."""

    def __init__(self, topic: str, clock: Clock) -> None:
        self.kept_s: float | None = None
        self._topic = topic
        self._clock = clock
        self._said_at_s = float("-inf")

    def look(self, batch: Batch) -> None:
        """At what is delivered."""
        if self.kept_s is None or not batch.records:
            return
        age_s = self._clock.unix_ms() / 1000 - batch.records[0].timestamp_ms / 1000
        now_s = self._clock.monotonic_s()
        if (warning := warning_of(age_s, self.kept_s)) and now_s - self._said_at_s >= _SAY_AGAIN_S:
            self._said_at_s = now_s
            log.error(telemetry.TOPIC_WARNING, warning=f"topic {self._topic}, partition {batch.partition}: {warning}")

"""Whether the group still counts this member, as far as a member that hears nothing can know.

A broker takes a member that it does not hear of for the group's session out of it and gives its partitions to others.
The member is not told: cut off from Kafka it would go on thinking that they are its own, and take them back from
whoever has claimed them, again and again. So it gives up what it was given before the session is over, by its own
monotonic clock, from the last time that it heard the group's coordinator (`is_out`, pure).
"""

from typing import Any, Final

import msgspec

from argosy.clock import Clock
from argosy.logs.kafka_config import own_brokers

STATISTICS_INTERVAL_S: Final = 0.25
_AHEAD_S: Final = 0.75  # of the broker: what was heard is known a quarter of a second later, and looked at as often
_STOCK_SESSION_S: Final = 45.0


def is_out(silent_s: float, session_timeout_s: float | None) -> bool:
    """session_timeout_s: of the group; None when nobody says."""
    session_s = session_timeout_s or _STOCK_SESSION_S
    return silent_s > max(session_s - _AHEAD_S, session_s / 2)


class _Broker(msgspec.Struct):
    rxidle: int = -1


class _Statistics(msgspec.Struct):
    brokers: dict[str, _Broker] = {}


_decoder: Final = msgspec.json.Decoder(_Statistics)


class Silence:
    """Fed by the consumer's statistics, on whatever thread polls it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_at_s: float | None = None
        self._brokers: frozenset[str] = frozenset()

    @property
    def settings(self) -> dict[str, Any]:
        """For the consumer."""
        return {"statistics.interval.ms": int(STATISTICS_INTERVAL_S * 1000), "stats_cb": self.on_statistics}

    @property
    def silent_s(self) -> float:
        """Since the coordinator was heard last; 0 when it never was. From any thread."""
        heard_at_s = self._heard_at_s
        return 0.0 if heard_at_s is None else self._clock.monotonic_s() - heard_at_s

    def on_statistics(self, text: str) -> None:
        """librdkafka's JSON; rxidle: microseconds since something was received, below 0 when nothing ever was."""
        brokers = _decoder.decode(text).brokers
        if brokers.keys() != self._brokers:
            self._brokers = frozenset(brokers)
            own_brokers(name.partition("/")[0] for name in brokers)  # host:port/id
        coordinator = brokers.get("GroupCoordinator")
        if coordinator is not None and coordinator.rxidle >= 0:
            self._heard_at_s = self._clock.monotonic_s() - coordinator.rxidle / 1_000_000

    def begin(self) -> None:
        """Another consumer: nothing is known of it."""
        self._heard_at_s = None

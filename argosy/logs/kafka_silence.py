"""When the group's coordinator was heard last: what a consumer's statistics say of it (word.py has the rule)."""

from typing import Any, Final

import msgspec

from argosy.clock import Clock
from argosy.logs.kafka_config import own_brokers
from argosy.logs.word import Word

STATISTICS_INTERVAL_S: Final = 0.25


class _Broker(msgspec.Struct):
    rxidle: int = -1


class _Statistics(msgspec.Struct):
    brokers: dict[str, _Broker] = {}


_decoder: Final = msgspec.json.Decoder(_Statistics)


class Silence:
    """Tells the word. Fed by the consumer's statistics, on whatever thread polls it."""

    def __init__(self, clock: Clock, word: Word) -> None:
        self._clock = clock
        self._word = word
        self._brokers: frozenset[str] = frozenset()

    @property
    def settings(self) -> dict[str, Any]:
        """For the consumer."""
        return {"statistics.interval.ms": int(STATISTICS_INTERVAL_S * 1000), "stats_cb": self.on_statistics}

    def on_statistics(self, text: str) -> None:
        """librdkafka's JSON; rxidle: microseconds since something was received, below 0 when nothing ever was."""
        brokers = _decoder.decode(text).brokers
        if brokers.keys() != self._brokers:
            self._brokers = frozenset(brokers)
            own_brokers(name.partition("/")[0] for name in brokers)  # host:port/id
        coordinator = brokers.get("GroupCoordinator")
        if coordinator is not None and coordinator.rxidle >= 0:
            self._word.heard(self._clock.monotonic_s() - coordinator.rxidle / 1_000_000)

"""Renews the word by what a consumer's statistics say of its group's coordinator (word.py has the rule)."""

from typing import Any, Final

import msgspec

from argosy.clock import Clock
from argosy.logs.kafka_config import own_brokers
from argosy.logs.word import Word

STATISTICS_INTERVAL_S: Final = 0.25  # how late it is seen that the coordinator was heard


class _Broker(msgspec.Struct):
    rxidle: int = -1


class _Statistics(msgspec.Struct):
    brokers: dict[str, _Broker] = {}


_decoder: Final = msgspec.json.Decoder(_Statistics)


class Silence:
    """Passes what the consumer's statistics say on to the word, on whatever thread polls the consumer."""

    def __init__(self, clock: Clock, word: Word) -> None:
        self._clock = clock
        self._word = word
        self._brokers: frozenset[str] = frozenset()

    @property
    def settings(self) -> dict[str, Any]:
        """The consumer settings that make librdkafka report its statistics here."""
        return {"statistics.interval.ms": int(STATISTICS_INTERVAL_S * 1000), "stats_cb": self.on_statistics}

    def on_statistics(self, text: str) -> None:
        """Take librdkafka's statistics (JSON).

        rxidle: microseconds since a broker last sent something, below 0 when it never did.
        """
        brokers = _decoder.decode(text).brokers
        if brokers.keys() != self._brokers:
            self._brokers = frozenset(brokers)
            own_brokers(name.partition("/")[0] for name in brokers)  # host:port/id
        coordinator = brokers.get("GroupCoordinator")
        if coordinator is not None and coordinator.rxidle >= 0:
            self._word.renew(self._clock.monotonic_s() - coordinator.rxidle / 1_000_000)

"""One tenant's bucket at this gateway, for one kind of request. No I/O. The rules: those of this package."""

import math
from typing import Final, NamedTuple

# What was asked for counts e times less after this. Two intervals, so that a share hardly depends on the moment at
# which a gateway asks; short enough that shares follow when requests go elsewhere.
FADE_S: Final = 1.0
# A gateway that has not heard of Postgres for this long takes the share that each would have. Longer than a slow round.
STALE_S: Final = 3.0
# Of an equal share: who asks for less is not told of.
_UNTOLD: Final = 0.05
# A bucket holds at least what comes in this time: less would be lost between two rounds.
_BURST_S_MIN: Final = 1.0


class Rate(NamedTuple):
    """per_s: requests a second. burst: how many may come at once; 0: twice the rate. It is what comes in a second at
    the least, and one.
    """

    per_s: float
    burst: float = 0.0

    @property
    def room(self) -> float:
        """How many requests the bucket of all gateways holds."""
        return max(self.burst or 2 * self.per_s, _BURST_S_MIN * self.per_s, 1.0)


class Report(NamedTuple):
    """What a gateway tells of a tenant. used: requests let through since it was told of before. asked: requests that
    came since. fresh: requests that came lately, older ones counting less; `asked` is among them.
    """

    used: int
    asked: int
    fresh: float


class Account:
    """How many requests of a tenant may pass here now."""

    __slots__ = (
        "_at_s",
        "_fill",
        "_fresh",
        "_fresh_at_s",
        "_level",
        "_most",
        "_settled_at_s",
        "_tokens",
        "asked",
        "rate",
        "room",
        "used",
    )

    def __init__(self, rate: Rate, gateways: int, now_s: float) -> None:
        self.used = self.asked = 0
        self._fresh, self._fresh_at_s = 0.0, now_s
        self._settled_at_s = -math.inf
        self._level = 0.0  # what was left for all, when this was settled
        self._at_s = now_s
        self._set_rate(rate, 1 / gateways)
        self._tokens = self._most

    def take(self, count: int, now_s: float) -> int:
        """Let up to `count` requests through, and return how many."""
        tokens = self._tokens + (now_s - self._at_s) * self._fill
        if tokens > self._most:
            tokens = self._most
        granted = count if tokens >= count else max(0, int(tokens))
        self._tokens, self._at_s = tokens - granted, now_s
        self.asked += count
        self.used += granted
        return granted

    def retry_after_s(self, now_s: float, interval_s: float) -> float:
        """Return in how many seconds a request will pass, if the tenant sends none meanwhile.

        It is when this gateway's own part has filled, or when all have left one, and it has heard so.
        """
        here_s = (1 - self._tokens) / self._fill - (now_s - self._at_s)
        if self.is_settled(now_s):
            anywhere_s = (1 - self._level) / self.rate.per_s - (now_s - self._settled_at_s)
            here_s = min(here_s, max(anywhere_s, 0.0) + 2 * interval_s)
        return max(here_s, 0.0)

    def is_settled(self, now_s: float) -> bool:
        """Whether its share is one that Postgres gave it lately."""
        return now_s - self._settled_at_s < STALE_S

    def is_full(self, now_s: float) -> bool:
        """Whether a new account would have no more: then it may be forgotten."""
        return not self.is_settled(now_s) and self._tokens + (now_s - self._at_s) * self._fill >= self._most

    def report(self, gateways: int, now_s: float) -> Report | None:
        """Return what Postgres is to be told now; None when it is too little. It is told again until `settled`."""
        fresh = self._fresh * math.exp(-(now_s - self._fresh_at_s) / FADE_S) + self.asked
        report = Report(self.used, self.asked, fresh)
        if fresh > _UNTOLD * self.rate.per_s * FADE_S / gateways:
            return report
        self._told(report, now_s)
        return None

    def settled(self, told: Report, level: float, share: float, now_s: float) -> None:
        """Take over what Postgres answered to a report. level: what is left for all gateways, less than 0 when too much
        was let through. share: this one's, of 1.
        """
        self._told(told, now_s)
        self._settled_at_s, self._level = now_s, level
        self._set_rate(self.rate, share)
        # One whole request for whoever asks first, also where no gateway's part is as much.
        mine = max(share * level, 1.0) if level >= 1 else share * level
        self._tokens, self._at_s = mine - self.used, now_s  # `used` since it was told

    def is_stale(self, now_s: float) -> bool:
        """Whether something should have been told long ago, and Postgres has not answered."""
        return now_s - max(self._settled_at_s, self._fresh_at_s) >= STALE_S

    def lapse(self, gateways: int, now_s: float) -> None:
        """Go on with the share that each gateway would have. What is not told by now stays so."""
        tokens = self._tokens + (now_s - self._at_s) * self._fill
        self._told(Report(self.used, self.asked, 0.0), now_s)
        self._set_rate(self.rate, 1 / gateways)
        self._tokens, self._at_s = min(tokens, self._most), now_s

    def change(self, rate: Rate, gateways: int, now_s: float) -> None:
        """Take over another rate of the tenant."""
        if rate != self.rate:
            share = self._fill / self.rate.per_s
            self._set_rate(rate, share if self.is_settled(now_s) else 1 / gateways)

    def _told(self, told: Report, now_s: float) -> None:
        self.used -= told.used
        self.asked -= told.asked
        self._fresh, self._fresh_at_s = told.fresh, now_s

    def _set_rate(self, rate: Rate, share: float) -> None:
        self.rate, self.room = rate, rate.room
        self._fill = max(share, 1e-6) * rate.per_s
        self._most = max(share * self.room, 1.0)

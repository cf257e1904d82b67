"""Gateways that settle limits with each other, on a clock that a test turns: the product's accounts, over levels that
follow the rules of argosy/store/functions/limits.sql. (tests/store/test_limits.py compares those with the function.)
"""

import math
from dataclasses import dataclass, field
from typing import Final

from argosy.gateway.tenant_limits.account import FADE_S, Account, Rate, Report
from argosy.store.limits import Left

INTERVAL_S: Final = 0.5
OWED_MAX: Final = 5


@dataclass
class Level:
    """What is left of one rate. at_s: None: all."""

    at_s: float | None = None
    level: float = 0.0
    asked: float = 0.0

    def settle(self, rate: Rate, report: Report, now_s: float) -> Left:
        if self.at_s is None:
            self.level, self.asked = max(rate.room - report.used, -OWED_MAX * rate.room), float(report.asked)
        else:
            passed_s = max(0.0, now_s - self.at_s)
            level = min(rate.room, self.level + rate.per_s * passed_s - report.used)
            self.level = max(-OWED_MAX * rate.room, level)
            self.asked = report.asked + self.asked * math.exp(-min(50, passed_s / FADE_S))
        self.at_s = now_s
        return Left(self.level, min(1.0, report.fresh / max(self.asked, 1e-9)))


@dataclass
class Gateway:
    """account: of the one tenant. due_s: when it settles next."""

    due_s: float
    account: Account | None = None
    is_alive: bool = True


@dataclass
class Fleet:
    """Gateways that serve one tenant. passed: when requests passed, and how many."""

    rate: Rate
    count: int
    now_s: float = 1_000.0
    is_store_away: bool = False
    level: Level = field(default_factory=Level)
    gateways: list[Gateway] = field(default_factory=list)
    passed: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gateways = [Gateway(self.now_s + (nth + 1) * INTERVAL_S / (self.count + 1)) for nth in range(self.count)]

    def send(self, gateway: Gateway, requests: int) -> int:
        """Send requests to one gateway, and return how many passed."""
        if not gateway.is_alive or not requests:
            return 0
        if gateway.account is None:
            gateway.account = Account(self.rate, self.count, self.now_s)
        granted = gateway.account.take(requests, self.now_s)
        self.passed.append((self.now_s, granted))
        return granted

    def go_on(self, step_s: float) -> None:
        """Let time pass, and gateways settle that are due."""
        self.now_s += step_s
        for gateway in self.gateways:
            if gateway.is_alive and self.now_s >= gateway.due_s:
                gateway.due_s += INTERVAL_S
                self._settle(gateway)

    def in_window(self, begin_s: float, end_s: float) -> int:
        """Return how many passed in a time."""
        return sum(count for at_s, count in self.passed if begin_s <= at_s < end_s)

    def _settle(self, gateway: Gateway) -> None:
        account = gateway.account
        if account is None:
            return
        if self.is_store_away:
            if account.is_stale(self.now_s):
                account.lapse(self.count, self.now_s)
            return
        report = account.report(self.count, self.now_s)
        if report is not None:
            left = self.level.settle(self.rate, report, self.now_s)
            account.settled(report, left.level, left.share, self.now_s)
        elif not account.is_settled(self.now_s):
            account.lapse(self.count, self.now_s)

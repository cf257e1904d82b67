"""The machine's clock: what is measured by it goes on whatever happens to the process."""

import time

import pytest

from argosy.clock import SystemClock

GOES_ON = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def test_a_duration_goes_on_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_MONOTONIC: 1_000.0, GOES_ON: 1_000.0}
    monkeypatch.setattr(time, "monotonic", lambda: 1_000.0)
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    clock = SystemClock()
    before_s = clock.monotonic_s()

    clocks[GOES_ON] += 600.0

    assert clock.monotonic_s() - before_s == 600.0

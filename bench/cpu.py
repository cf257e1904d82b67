"""CPU seconds of the processes that take part, children included, the ones that are gone too."""

import os
import time
from collections.abc import Callable

import psutil


def _spent_s(pid: int) -> float:
    """User and system time of a process, of its living children, and of those it has waited for; of this process
    itself without its children, which are the servers.
    """
    if pid == os.getpid():
        return time.process_time()
    total = 0.0
    try:
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    except psutil.NoSuchProcess:
        pass
    return total


class CpuMeter:
    """CPU seconds per part of the fleet since `start`. parts: name -> pids, asked again at each look."""

    def __init__(self, parts: Callable[[], dict[str, list[int]]]) -> None:
        self._parts = parts
        self._before: dict[str, float] = {}

    def _look(self) -> dict[str, float]:
        return {name: sum(map(_spent_s, pids)) for name, pids in self._parts().items()}

    def start(self) -> None:
        self._before = self._look()

    def spent_s(self) -> dict[str, float]:
        return {name: spent - self._before.get(name, 0.0) for name, spent in self._look().items()}


def rss_mb(pid: int) -> float:
    """Resident memory of one process, MB (10^6)."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def machine_busy_s() -> float:
    """CPU seconds that the whole machine has spent on anything, waiting for disks not counted."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))

"""CPU seconds of the processes that take part, with their children, also of children that have ended."""

import os
import time
from collections.abc import Callable

import psutil


def _spent_s(pid: int) -> float:
    """Return the user and system time of a process, of its living children, and of the children that it has waited for.

    For this process, without its children, which are the servers.
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
    """CPU seconds per part of the fleet since `start`. parts: returns name → pids; called again at each look."""

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
    """Return the resident memory of one process in MB (10^6 bytes)."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def machine_busy_s() -> float:
    """Return the CPU seconds that the whole machine has spent on anything, without waiting for disks."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))

"""The workflows of the fleets of two versions: those of the storms. Each version runs them with its own `tests`."""

from tests.faults.watched_workflows import talks
from tests.journey.workflows import dawdles, sleeps, steps, stumbles, threads, waits

__all__ = ["dawdles", "sleeps", "steps", "stumbles", "talks", "threads", "waits"]

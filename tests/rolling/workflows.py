"""The workflows of a fleet of two versions: those of the storms, the same code for both."""

from tests.faults.followed_workflows import talks
from tests.journey.workflows import dawdles, sleeps, steps, stumbles, threads, waits

__all__ = ["dawdles", "sleeps", "steps", "stumbles", "talks", "threads", "waits"]

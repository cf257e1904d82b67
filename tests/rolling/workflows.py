"""The workflows of the fleets of two versions: those of the storms. Each version runs them with its own `tests`."""

from tests.journey.workflows import dawdles, sleeps, steps, stumbles, threads, waits

try:
    from tests.faults.followed_workflows import talks
except ModuleNotFoundError:  # the version before has another name for it
    from tests.faults.watched_workflows import talks  # type: ignore[import-not-found, no-redef]

__all__ = ["dawdles", "sleeps", "steps", "stumbles", "talks", "threads", "waits"]

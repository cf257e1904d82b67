"""Build 1 of the workflows of test_builds.py. Input: as in tests/journey/workflows.py."""

from typing import Any

from argosy import Context, workflow
from tests.journey.workflows import touch


@workflow(version="1")
async def upgraded(ctx: Context, job: dict[str, Any]) -> str:
    """Waits for a signal between two steps, and says by which version it was run."""
    await ctx.run(touch, job)
    await ctx.wait_signal("go")
    await ctx.run(touch, job)
    return "1"

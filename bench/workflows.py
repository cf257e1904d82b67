"""What the bench runs besides `echo`."""

import time
from typing import Any

from argosy import Context, workflow


@workflow
async def bench_waits(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Waits for a signal and says when it went on: seconds since 1970, the clock of the bench's own machine."""
    await ctx.wait_signal("go")
    return {"resumed_at_s": time.time()}

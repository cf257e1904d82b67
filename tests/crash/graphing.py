"""Workflows that write to graphs. Input: {"sink", "session", "batches", …}.

GRAPHS_STOP_AT: at this crash point the process stops (SIGSTOP), once.
"""

import os
import signal
from typing import Any

from argosy import Context, crash_points, graph, step, workflow


def _stop(point: str) -> None:
    if point == os.environ["GRAPHS_STOP_AT"]:
        crash_points.arm("")
        os.kill(os.getpid(), signal.SIGSTOP)


if os.environ.get("GRAPHS_STOP_AT"):
    crash_points.reach = _stop


@workflow
async def writes(ctx: Context, job: dict[str, Any]) -> list[int]:
    """Write so many batches to the session's own graph; return the version that each came to."""
    memory = ctx.graph()
    return [
        await memory.upsert_nodes([{"id": f"{ctx.turn_id}-{number}", "label": "Batch"}])
        for number in range(job["batches"])
    ]


@workflow
async def counts(ctx: Context, job: dict[str, Any]) -> list[Any]:
    """Return how many nodes the session's own graph has, in Cypher and by its summary."""
    memory = ctx.graph()
    rows = (await memory.query("MATCH (b:Batch) RETURN count(b)"))["rows"]
    return [rows[0][0], (await memory.summary())["nodes"][0]["total"]]


@step
async def look(label: str) -> int:
    return len(await graph().search(label))


@workflow
async def looks(ctx: Context, job: dict[str, Any]) -> int:
    """Return how much a step finds in the session's own graph."""
    return await ctx.run(look, "Batch")

"""Workflows that upload documents, and one line that is none. Input: {"papers", …}."""

from typing import Any

from argosy import Context, workflow


@workflow
async def files(ctx: Context, job: dict[str, Any]) -> dict[str, int]:
    lines = [{"op": "document", "id": f"p{n}", "text": f"Paper {n}.", "metadata": {}} for n in range(job["papers"])]
    upload = await ctx.start_ingest("papers", [*lines, {"op": "nothing"}])
    ended = await ctx.wait_ingest(upload)
    found = await ctx.graph("papers").query("MATCH (d:Document) RETURN count(d)")
    return {"applied": ended["applied"], "rejected": ended["rejected"], "documents": found["rows"][0][0]}


@workflow
async def awaits(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Return the end of a job as it is told, whatever that is."""
    return await ctx.wait_ingest(await ctx.start_ingest(job["graph"], [{"op": "nothing"}] * job["papers"]))

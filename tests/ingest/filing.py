"""A workflow that uploads documents, and one line that is none. Input: {"papers", …}."""

from typing import Any

from argosy import Context, workflow


@workflow
async def files(ctx: Context, job: dict[str, Any]) -> dict[str, int]:
    lines = [{"op": "document", "id": f"p{n}", "text": f"Paper {n}.", "metadata": {}} for n in range(job["papers"])]
    upload = await ctx.start_ingest("papers", [*lines, {"op": "nothing"}])
    ended = await ctx.wait_ingest(upload)
    found = await ctx.graph("papers").query("MATCH (d:Document) RETURN count(d)")
    return {"applied": ended["applied"], "rejected": ended["rejected"], "documents": found["rows"][0][0]}

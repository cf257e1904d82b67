"""A workflow that leaves what it is told wherever a turn can leave something."""

from typing import Any

from argosy import Context, step, workflow


@step
async def say(text: str) -> str:
    return text


@workflow
async def remembers(ctx: Context, job: dict[str, Any]) -> str:
    """Write a text to a graph of the tenant's and to the session's own, and return it."""
    text = job["text"]
    nodes = [{"id": f"{text} {number}", "label": "Said", "props": {"text": text}} for number in range(3)]
    await ctx.graph("shared").upsert_nodes(nodes)
    await ctx.graph().upsert_nodes(nodes)
    return str(await ctx.run(say, text))


@workflow
async def uploads(ctx: Context, job: dict[str, Any]) -> str:
    """Upload lines with a text to a graph, one of which is refused; job["is_waited_for"]: until they are applied."""
    text = job["text"]
    lines = [{"op": "upsert_node", "id": f"{text} {n}", "label": "Said", "props": {"text": text}} for n in range(500)]
    upload = await ctx.start_ingest(job["graph"], [*lines, {"op": text}])
    if job["is_waited_for"]:
        await ctx.wait_ingest(upload)
    return str(upload)


@workflow
async def dwells(ctx: Context, job: dict[str, Any]) -> None:
    """Waits for what nobody sends."""
    await ctx.wait_signal(str(job["text"]))

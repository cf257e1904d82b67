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

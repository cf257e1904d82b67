"""The smallest workflow: for trying and measuring a fleet."""

from typing import Any

from argosy.workflow.context import Context
from argosy.workflow.definition import step, workflow


@step(effect="pure")
async def answer(value: Any) -> Any:
    """Return the value that it was given."""
    return value


@workflow
async def echo(ctx: Context, value: Any) -> Any:
    """Answers its input, through one step."""
    return await ctx.run(answer, value)

"""Workflows whose every payload says a word that must be found nowhere."""

from argosy import Context, emit, step, workflow


@step
async def look(word: str) -> str:
    emit("shown", text=f"{word} is emitted")
    return f"{word} is found"


@step(retries=0)
async def stumble(word: str) -> str:
    raise ValueError(f"{word} is wrong")


@workflow
async def keeps(ctx: Context, word: str) -> list[str]:
    found = await ctx.run(look, word)
    emit("own", json={"word": word})
    return [found, await ctx.wait_signal("go"), await ctx.run(look, word)]


@workflow
async def fails(ctx: Context, word: str) -> str:
    return await ctx.run(stumble, word)

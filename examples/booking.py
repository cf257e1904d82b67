"""A workflow that cleans up when it is cancelled: an example of docs/workflows.md."""

import asyncio

from argosy import Context, step, workflow


@step
async def book(what: str) -> str:
    return f"booked {what}"


@step
async def give_back(booked: str) -> str:
    return f"gave back what was {booked}"


# booking
@workflow
async def booking(ctx: Context) -> str:
    room = await ctx.run(book, "a room")
    try:
        return await ctx.wait_signal("confirmed")
    except asyncio.CancelledError:
        await ctx.run(give_back, room)
        raise

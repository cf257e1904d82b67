"""Runs of workflows that are cancelled, and what they clean up."""

import asyncio
from collections.abc import Callable
from typing import Any

from argosy import Context
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

Made = list[Any]


async def cancel_when(journal: ListJournal, condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 — what it waits for has no event
            await asyncio.sleep(0)
    journal.cancel()


async def run_cancelled(
    function: Callable[..., Any], condition: Callable[[], Any], journal: ListJournal | None = None
) -> tuple[ListJournal, BaseException | None]:
    """The journal, and what the code came to (None: it returned), of a run that is cancelled when something holds."""
    journal = journal or ListJournal(passes_time=False)
    told = await asyncio.gather(run(function, None, journal), cancel_when(journal, condition), return_exceptions=True)
    ended = told[0]
    return journal, ended if isinstance(ended, BaseException) else None


async def replay(function: Callable[..., Any], journal: ListJournal, rows: int) -> tuple[ListJournal, Any]:
    """The journal of another attempt that goes on from so many of the events, and what the code came to."""
    again = ListJournal(journal.rows[:rows], attempt=2, passes_time=False)
    told = await asyncio.gather(run(function, None, again), return_exceptions=True)
    return again, told[0]


async def branch_that_cleans_up(ctx: Context, name: str, made: Made) -> None:
    """Waits for a signal; when it is cancelled a step says so in `made`."""

    async def release(name: str) -> None:
        made.append(name)

    try:
        await ctx.wait_signal(name)
    except asyncio.CancelledError:
        await ctx.run(release, name)
        raise

"""What `argosy check` names: a workflow that would not replay, and how it is written instead."""

import logging
import random
import time

from argosy import Context, step, workflow

log = logging.getLogger(__name__)


@step
async def look_up(name: str) -> str:
    return f"{name} was found"


@workflow
async def unsound(ctx: Context, names: list[str]) -> list[str]:
    began_at_s = time.time()
    found = [await ctx.run(look_up, name) for name in set(names)]
    ctx.sleep(1)
    log.info("took %g s", time.time() - began_at_s)  # argosy: ok[time] only for the log
    return found if time.time() - began_at_s < 60 else [random.choice(found)]


@workflow
async def sound(ctx: Context, names: list[str]) -> list[str]:
    began_at = await ctx.now()
    found = [await ctx.run(look_up, name) for name in sorted(set(names))]
    await ctx.sleep(1)
    took_s = (await ctx.now() - began_at).total_seconds()
    return found if took_s < 60 else [found[(await ctx.uuid()).int % len(found)]]

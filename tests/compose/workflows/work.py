"""Workflows of a fleet in containers: each step tells the sink, and each turn writes to the graph of its session."""

import asyncio
import json
from typing import Any
from urllib.request import Request, urlopen

from argosy import Context, emit, graph, step, step_info, workflow


@step
async def touch(job: dict[str, Any]) -> int:
    """One effect at the sink, which takes its time."""
    info = step_info()
    effect = {
        "turn_id": str(info.turn_id),
        "step_key": info.step_key,
        "idempotency_key": info.idempotency_key,
        "session": job["session"],
        "attempt": info.attempt,
    }

    def tell() -> int:
        with urlopen(Request(f"http://{job['sink']}/effects", json.dumps(effect).encode()), timeout=30) as answer:
            return int(json.load(answer)["number"])

    number = await asyncio.to_thread(tell)
    await asyncio.sleep(job.get("step_s", 0))
    return number


@step
async def speak(words: int, pause_s: float) -> str:
    """Words, one by one."""
    for number in range(words):
        emit("said", text=f"word {number} ")
        await asyncio.sleep(pause_s)
    return "said"


@workflow
async def works(ctx: Context, job: dict[str, Any]) -> int:
    """n effects; what each was is a node in the graph of the session."""
    memory = ctx.graph()
    for number in range(job["n"]):
        await ctx.run(touch, job)
        await memory.upsert_nodes([{"id": f"{job['name']}-{number}", "label": "Effect"}])
    return int(job["n"])


@workflow
async def talks(ctx: Context, job: dict[str, Any]) -> str:
    return str(await ctx.run(speak, job["words"], job["pause_s"]))


@step
async def count() -> int:
    """How many effects the graph of the session has."""
    found = await graph().query("MATCH (e:Effect) RETURN count(e)")
    return int(found["rows"][0][0])


@workflow
async def counts(ctx: Context, job: dict[str, Any]) -> int:
    return int(await ctx.run(count))

"""A turn that shows much while it runs, for clients that watch it through a storm. As in tests/journey/workflows.py."""

import asyncio
import os
from typing import Any

from argosy import Context, emit, step, step_info, workflow
from tests.checker.sink_client import cause

SECRET = "nobody may read this"


async def _cause(job: dict[str, Any]) -> None:
    info = step_info()
    effect = {
        "turn_id": str(info.turn_id),
        "step_key": info.step_key,
        "idempotency_key": info.idempotency_key,
        "session": job["session"],
        "attempt": info.attempt,
        "pid": os.getpid(),
    }
    await cause(job["sink"], effect)


async def _speak(job: dict[str, Any], words: int) -> str:
    """One word each `word_s`, 20 a second. A word says who speaks: text of two tries or attempts cannot be mixed up."""
    info = step_info()
    text = ""
    for number in range(words):
        word = f"{info.attempt}.{info.try_number}.{number} "
        emit("answer", text=word)
        text += word
        if number % 10 == 0:
            emit("state", json={"said": number})
        else:
            emit("state", patch=[{"op": "replace", "path": "/said", "value": number}])
        await asyncio.sleep(job.get("word_s", 0.05))
    return text


@step
async def say(job: dict[str, Any]) -> str:
    text = await _speak(job, job["words"])
    await _cause(job)
    return text


@step(retries=3, backoff_s=0.1, backoff_s_max=0.2)
async def stammer(job: dict[str, Any]) -> str:
    """Breaks off once in the middle."""
    if step_info().try_number == 1:
        await _speak(job, job["words"] // 4)
        raise ValueError("again")
    text = await _speak(job, job["words"])
    await _cause(job)
    return text


@step(private=True, retries=1, backoff_s=0.05, backoff_s_max=0.05)
async def whisper(job: dict[str, Any]) -> str:
    emit("answer", text=SECRET)
    if step_info().try_number == 1:
        raise ValueError(SECRET)
    await _cause(job)
    return SECRET


@workflow
async def talks(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Three steps that speak, one of them twice, and one that nobody hears; the signal "go" in the middle."""
    emit("log", text="began, ")
    texts = [await ctx.run(say, job)]
    emit("log", text="whispers, ")
    await ctx.run(whisper, job)
    word = await ctx.wait_signal("go")
    emit("log", text=f"{word}, ")
    texts.append(await ctx.run(stammer, job))
    await ctx.sleep(0.2)
    texts.append(await ctx.run(say, job))
    emit("log", text="ended")
    return {"texts": texts, "log": f"began, whispers, {word}, ended"}

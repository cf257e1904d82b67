"""The load: posts turns in batches and one by one, and waits until all of them have durably ended."""

import asyncio
import json
import time

import asyncpg

from bench.http import HttpClient

BATCH_TURNS = 100
INPUT = {"text": "x" * 188}  # 200 bytes as JSON
_NDJSON = "content-type: application/x-ndjson\r\n"
_JSON = "content-type: application/json\r\n"
_OPEN = """
SELECT EXISTS (SELECT 1 FROM argosy.turns WHERE lane = 'default' AND place IS NOT NULL
               AND status IN ('queued', 'running', 'suspended', 'parked'))
"""


class RefusedError(Exception):
    """A turn was not accepted or did not complete, so the run says nothing."""


async def post_batches(client: HttpClient, turns: int, sessions: int, name: str, workflow: str = "echo") -> None:
    """Post the turns as NDJSON batches of 100, 8 at once, over this many sessions in rotation."""
    bodies = []
    for start in range(0, turns, BATCH_TURNS):
        lines = [
            {"session": f"{name}-{number % sessions}", "workflow": workflow, "input": INPUT}
            for number in range(start, min(start + BATCH_TURNS, turns))
        ]
        bodies.append("\n".join(map(json.dumps, lines)).encode())
    left = iter(bodies)

    async def keep_posting() -> None:
        for body in left:
            answer = await client.request("POST", "/v1/turns:batch", body, _NDJSON)
            if answer.status != 200 or answer.body.count(b'"turn_id"') != body.count(b"\n") + 1:
                raise RefusedError(f"batch: {answer.status} {answer.body[:300]!r}")

    await asyncio.gather(*(keep_posting() for _ in range(8)))


async def post_singles(client: HttpClient, turns: int, sessions: int, name: str, connections: int = 32) -> list[float]:
    """Post one turn per request; returns the seconds that each took until its 202."""
    body = json.dumps({"workflow": "echo", "input": INPUT}).encode()
    left = iter(range(turns))
    took_s: list[float] = []

    async def keep_posting() -> None:
        for number in left:
            started = time.perf_counter()
            answer = await client.request("POST", f"/v1/sessions/{name}-{number % sessions}/turns", body, _JSON)
            took_s.append(time.perf_counter() - started)
            if answer.status != 202:
                raise RefusedError(f"single: {answer.status} {answer.body[:300]!r}")

    await asyncio.gather(*(keep_posting() for _ in range(connections)))
    return took_s


async def count_turns(database: asyncpg.Connection) -> int:
    return int(await database.fetchval("SELECT count(*) FROM argosy.turns"))


async def until_ended(database: asyncpg.Connection, total: int, within_s: float = 300.0) -> float:
    """Return when Postgres holds `total` turns and all of them have completed.

    Returns the moment (monotonic clock) before the look that saw it, because counting takes longer than the look
    itself. Looks rarely, because its CPU counts. Raises RefusedError.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        looked_s = time.monotonic()
        if not await database.fetchval(_OPEN) and await count_turns(database) >= total:
            failed = await database.fetchval("SELECT count(*) FROM argosy.turns WHERE status <> 'completed'")
            if failed:
                raise RefusedError(f"{failed} turns did not complete")
            return looked_s
        await asyncio.sleep(0.05)
    raise RefusedError(f"not all of {total} turns ended within {within_s} s")

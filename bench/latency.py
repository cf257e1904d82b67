"""Latencies of a nearly idle machine, at 20 turns per second."""

import asyncio
import json
import statistics
import time
import uuid
from typing import NamedTuple

import asyncpg

from bench.http import HttpClient
from bench.load import INPUT, RefusedError

_ENDED = "SELECT status FROM argosy.turns WHERE turn_id = $1 AND ended_at IS NOT NULL"
_STATUS = "SELECT status FROM argosy.turns WHERE turn_id = $1"
JSON = "content-type: application/json\r\n"


def p50_p99_ms(took_s: list[float]) -> dict[str, float]:
    ordered = sorted(took_s)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3, 2),
    }


async def until(database: asyncpg.Connection, turn_id: uuid.UUID, wanted: str, query: str = _ENDED) -> None:
    """Return when the turn has this status. Raises RefusedError after 20,000 looks, or when it has failed."""
    for _ in range(20_000):
        status = await database.fetchval(query, turn_id)
        if status == wanted:
            return
        if status in ("failed", "parked", "rejected"):
            raise RefusedError(f"turn {turn_id} is {status}")
        await asyncio.sleep(0.001)
    raise RefusedError(f"turn {turn_id} is not {wanted}")


class Completions(NamedTuple):
    """Seconds of each turn from its POST on: until the 202, and until any reader sees its durable end."""

    accepted_s: list[float]
    completed_s: list[float]


async def completions(client: HttpClient, database: asyncpg.Connection, samples: int) -> Completions:
    """Post so many turns, one after the other, 20 a second at the most."""
    took = Completions([], [])
    body = json.dumps({"workflow": "echo", "input": INPUT}).encode()
    for number in range(samples):
        started = time.perf_counter()
        answer = await client.request("POST", f"/v1/sessions/latency-{number % 50}/turns", body, JSON)
        took.accepted_s.append(time.perf_counter() - started)
        if answer.status != 202:
            raise RefusedError(f"single: {answer.status} {answer.body[:300]!r}")
        await until(database, uuid.UUID(json.loads(answer.body)["turn_id"]), "completed")
        took.completed_s.append(time.perf_counter() - started)
        await asyncio.sleep(max(0.0, 0.05 - (time.perf_counter() - started)))
    return took


async def measure_completion(client: HttpClient, database: asyncpg.Connection, samples: int) -> dict[str, object]:
    """Measure from sending the POST to its 202, and to the moment at which any reader sees the turn's durable end."""
    took = await completions(client, database, samples)
    return {"accepted": p50_p99_ms(took.accepted_s), "completed": p50_p99_ms(took.completed_s)}


async def measure_signal(
    client: HttpClient, database: asyncpg.Connection, samples: int, pause_s: float = 0.05
) -> dict[str, float]:
    """Measure from sending a signal to the moment at which the suspended workflow's code goes on.

    pause_s: between two signals.
    """
    body = json.dumps({"workflow": "bench_waits", "input": {}}).encode()
    turn_ids = []
    for number in range(samples):
        answer = await client.request("POST", f"/v1/sessions/signal-{pause_s:g}-{number}/turns", body, JSON)
        turn_ids.append(uuid.UUID(json.loads(answer.body)["turn_id"]))
    took_s = []
    for turn_id in turn_ids:
        await until(database, turn_id, "suspended", _STATUS)
    for turn_id in turn_ids:
        sent_s = time.time()
        answer = await client.request("POST", f"/v1/turns/{turn_id}/signals/go", b"{}", JSON)
        if answer.status not in (200, 202):
            raise RefusedError(f"signal: {answer.status} {answer.body[:300]!r}")
        await asyncio.sleep(0.005)  # a look takes CPU from what is measured
        await until(database, turn_id, "completed")
        result = await database.fetchval("SELECT result FROM argosy.turns WHERE turn_id = $1", turn_id)
        took_s.append(json.loads(result)["resumed_at_s"] - sent_s)
        await asyncio.sleep(pause_s)
    return p50_p99_ms(took_s)

"""How long a hand-over holds sessions up: a turn per session every 100 ms while a worker joins, or leaves on SIGTERM.

The stall of a session is the longest gap between two of its durable ends around the event, less the usual gap. Only
sessions whose partition changed its owner count; the same windows without an event show what the machine itself does.
The first join and the first leave do not count: the broker has just started and still compiles what it runs.
"""

import asyncio
import json
import statistics
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import uvloop

from argosy.ids import bucket_of, partition_of, session_id_of
from bench.bed import Bed, bed
from bench.http import HttpClient
from bench.latency import p50_p99_ms
from bench.load import RefusedError
from bench.owned import owned, until_shared
from bench.report import Finding
from bench.services import Services

PARTITIONS = 12
SESSIONS = 36
_EVERY_S = 0.1
_BEFORE_S, _AFTER_S = 1.0, 5.0
_JSON = "content-type: application/json\r\n"
_ENDS = """
SELECT s.name, extract(epoch FROM t.ended_at)::float8 AS at
FROM argosy.turns AS t JOIN argosy.sessions AS s ON s.session_id = t.session_id
WHERE t.ended_at BETWEEN to_timestamp($1) AND to_timestamp($2) ORDER BY t.ended_at
"""


class Load:
    """Posts one turn to every session each 100 ms, whether the last one has ended or not, from a thread of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = False
        self._task = asyncio.create_task(asyncio.to_thread(lambda: uvloop.run(self._run())))

    async def stop(self) -> None:
        """Stop posting. Raises RefusedError when a turn was refused."""
        self._is_over = True
        await self._task

    async def _run(self) -> None:
        client = HttpClient("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(SESSIONS):
                    tasks.create_task(self._keep_posting(client, number))
        finally:
            client.close()

    async def _keep_posting(self, client: HttpClient, number: int) -> None:
        body = json.dumps({"workflow": "echo", "input": {}}).encode()
        next_s = time.monotonic() + _EVERY_S * number / SESSIONS
        while not self._is_over:
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            next_s += _EVERY_S
            answer = await client.request("POST", f"/v1/sessions/{_session(number)}/turns", body, _JSON)
            if answer.status != 202:
                raise RefusedError(f"single: {answer.status} {answer.body[:300]!r}")


def _session(number: int) -> str:
    return f"steady-{number}"


def _partition(number: int) -> int:
    return partition_of(bucket_of(session_id_of("default", "default", _session(number))), PARTITIONS)


async def _stalls(on: Bed, event_s: float, until_s: float, partitions: set[int]) -> list[float]:
    """Return the stall of each session of these partitions, in seconds."""
    ends: dict[str, list[float]] = defaultdict(list)
    for row in await on.database.fetch(_ENDS, event_s - _BEFORE_S, until_s):
        ends[row["name"]].append(row["at"])
    found = []
    for number in range(SESSIONS):
        if _partition(number) in partitions:
            at = ends[_session(number)]
            gaps = [later - earlier for earlier, later in pairwise(at)]
            found.append(max([*gaps, until_s - at[-1]] if at else [until_s - event_s]) - _EVERY_S)
    return found


class _Stalls:
    def __init__(self, on: Bed) -> None:
        self._on = on
        self.of: dict[str, list[float]] = defaultdict(list)

    async def around(self, event: str, work: Any) -> None:
        """Measure a window of 5 s that begins with work, an async function; or a longer one when work takes longer."""
        before = await owned(self._on.database)
        event_s = time.time()
        await work()
        await asyncio.sleep(max(0.0, _AFTER_S - (time.time() - event_s)))
        until_s = time.time()
        after = await owned(self._on.database)
        moved = {partition for partition in after if after[partition].epoch != before[partition].epoch}
        stalls = await _stalls(self._on, event_s, until_s, moved or set(after))
        self.of[event] += stalls
        shown = f"median {statistics.median(stalls) * 1e3:.0f} ms, longest {max(stalls) * 1e3:.0f} ms"
        print(f"  {event}: {len(moved)} partitions moved, {len(stalls)} sessions, {shown}", flush=True)


async def _nothing() -> None:
    await asyncio.sleep(_AFTER_S)


async def measure(servers: Services, folder: Path, events: int) -> list[Finding]:
    async with bed(servers, folder, "stall", PARTITIONS) as on:
        staying = on.fleet.worker()
        await until_shared(on.database, [staying.pid], PARTITIONS)
        load = Load(on.fleet.port)
        stalls = _Stalls(on)
        try:
            await asyncio.sleep(3)
            for number in range(1 + events):
                if number == 1:
                    stalls.of.clear()
                await stalls.around("nothing", _nothing)
                joining = on.fleet.begin_worker()
                pids = [staying.pid, joining.pid]
                await stalls.around("joins", lambda pids=pids: until_shared(on.database, pids, PARTITIONS))
                await stalls.around("leaves", lambda each=joining: asyncio.to_thread(each.terminate))
                await until_shared(on.database, [staying.pid], PARTITIONS)
        finally:
            await load.stop()
    rate = f"{SESSIONS} sessions, {SESSIONS / _EVERY_S:.0f} turns/s, {events} times"
    titles = {"nothing": "nothing happens", "joins": "a worker joins", "leaves": "a worker leaves on SIGTERM"}
    return [
        Finding.ms(
            f"stall of a session, {rate}: {titles[event]}", p50_p99_ms(found), None if event == "nothing" else 300
        )
        for event, found in stalls.of.items()
    ]

"""What one turn costs in accept and in flush, with a short and with a long table: python -m bench.store_calls [turns]

It runs on a PostgreSQL 18 of its own, with fsync, one call at a time. A flush writes a turn's end and three events.
"""

import asyncio
import statistics
import sys
import time

import asyncpg

from argosy.local.postgres import EmbeddedPostgres
from argosy.store.migrate import migrate
from tests.conftest import open_folder
from tests.store.hand import Change, Hand, New

SESSIONS = 2_000
EVENTS = [("turn.started", ""), ("step.completed", "a"), ("turn.completed", "")]
INPUT = b'{"n":1,"text":"hello world hello world"}'


class Store:
    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.made = 0

    async def call(self, batch: int, *, is_finished: bool = True) -> tuple[float, float]:
        """Return the seconds of an accept and of a flush of so many turns."""
        turns = [New(f"s{(self.made + n) % SESSIONS}", input=INPUT) for n in range(batch)]
        self.made += batch
        began_s = time.perf_counter()
        await self.hand.accept(*turns)
        accepted_s = time.perf_counter()
        if is_finished:
            await self.hand.flush(*(Change(each, ("queued", 0, 0), "completed", events=EVENTS) for each in turns))
        return accepted_s - began_s, time.perf_counter() - accepted_s

    async def measure(self, title: str) -> None:
        for batch in (1, 100, 300):
            accepts, flushes = zip(*[await self.call(batch) for _ in range(15)], strict=True)
            accept_us, flush_us = (statistics.median(each) / batch * 1e6 for each in (accepts, flushes))
            print(f"{title}, batch {batch}: accept {accept_us:.0f} us a turn, flush {flush_us:.0f} us a turn")


async def run(dsn: str, turns: int) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE DATABASE calls")
    await connection.close()
    dsn = dsn.replace("/postgres", "/calls", 1)
    await migrate(dsn)
    hand = await Hand(dsn).open()
    await hand.claim()
    store = Store(hand)
    for _ in range(5):
        await store.call(300)
    await store.measure("at a thousand turns")
    while store.made < turns:
        await store.call(1_000, is_finished=store.made % 3_000 > 1_000)  # the rest stay queued, as a backlog
    await store.measure(f"at {store.made} turns")
    await hand.close()


if __name__ == "__main__":
    with open_folder() as folder, EmbeddedPostgres(folder) as server:
        asyncio.run(run(server.dsn, int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))

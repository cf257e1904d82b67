"""I9 from inside: what an idle fleet leaves in Postgres."""

import asyncio

import asyncpg

from tests.harness.fleet import Fleet

_LEFT = {
    "turns that have not ended": """
        SELECT turn_id::text || ' ' || status FROM argosy.turns
        WHERE status NOT IN ('completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged', 'duplicate')""",
    "inbox rows that nobody took": "SELECT kind || ' of ' || turn_id FROM argosy.inbox WHERE state = 'due'",
    "sessions with two running turns": """SELECT session_id::text FROM argosy.turns WHERE status = 'running'
                                          GROUP BY session_id HAVING count(*) > 1""",
}


async def until_nothing_is_left(fleet: Fleet, within_s: float = 15.0) -> None:
    """Returns when every turn has ended and every inbox row was taken. Raises AssertionError with what is left."""
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        for _ in range(int(within_s / 0.25)):
            left = {what: [row[0] for row in await connection.fetch(query)] for what, query in _LEFT.items()}
            if not any(left.values()):
                return
            await asyncio.sleep(0.25)
    finally:
        await connection.close()
    shown = {what: (len(rows), rows[:5]) for what, rows in left.items() if rows}
    raise AssertionError(f"after {within_s} s there are left: {shown}")

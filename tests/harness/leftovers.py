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


_STUCK = """
    SELECT t.turn_id::text, t.status, t.attempt, t.crashes, p.owner::text, p.epoch,
           ARRAY(SELECT e.at || ' ' || e.seq || ' attempt ' || e.attempt || ' ' || e.type || ' ' || e.key
                 FROM argosy.events AS e WHERE e.turn_id = t.turn_id ORDER BY e.seq) AS events,
           ARRAY(SELECT b.sent_at || ' ' || b.kind || ' ' || b.name || ' ' || b.correlation || ' ' || b.state
                 FROM argosy.inbox AS b WHERE b.turn_id = t.turn_id ORDER BY b.sent_at) AS inbox
    FROM argosy.turns AS t
    LEFT JOIN argosy.partitions AS p ON p.lane = t.lane AND p.partition = t.bucket * $1 / 1024
    WHERE t.status IN ('running', 'suspended', 'parked') LIMIT 5"""


async def told_by_postgres(fleet: Fleet) -> str:
    """What is known of turns that hold their session: for whoever has to find out why."""
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        rows = await connection.fetch(_STUCK, fleet.partitions)
    finally:
        await connection.close()
    lines = []
    for row in rows:
        head = {name: row[name] for name in ("turn_id", "status", "attempt", "crashes", "owner", "epoch")}
        lines += [
            str(head),
            *(f"  event {each}" for each in row["events"]),
            *(f"  inbox {each}" for each in row["inbox"]),
        ]
    return "\n".join(lines)


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

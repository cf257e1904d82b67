"""States of turns, written as a worker would leave them."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from argosy import ids
from argosy.turn.status import ENDED

LANE = "default"


class Rows:
    """Writes rows of one tenant."""

    def __init__(self, connection: asyncpg.Connection, tenant: str) -> None:
        self.connection = connection
        self.tenant = tenant

    def mint(self, session: str, age_s: float = 0) -> uuid.UUID:
        """An id as a gateway minted it age_s ago."""
        bucket = ids.bucket_of(ids.session_id_of(self.tenant, LANE, session))
        now_ms = int((datetime.now(UTC) - timedelta(seconds=age_s)).timestamp() * 1000)
        return ids.TurnIdMint(self.tenant, LANE).mint(bucket, now_ms)

    async def session(self, name: str, created_at: datetime | None = None) -> uuid.UUID:
        session_id = ids.session_id_of(self.tenant, LANE, name)
        await self.connection.execute(
            "INSERT INTO sessions (session_id, tenant, lane, bucket, name, created_at)"
            " VALUES ($1, $2, $3, $4, $5, coalesce($6, now())) ON CONFLICT DO NOTHING",
            session_id, self.tenant, LANE, ids.bucket_of(session_id), name, created_at,
        )  # fmt: skip
        return session_id

    async def turn(self, session: str = "s", status: str = "queued", **columns: Any) -> uuid.UUID:
        """A turn; JSON columns are given as values."""
        session_id = await self.session(session)
        turn_id = columns.pop("turn_id", None) or self.mint(session)
        waits = "[]" if status == "suspended" else None
        values: dict[str, Any] = {
            "turn_id": turn_id, "tenant": self.tenant, "lane": LANE,
            "bucket": ids.bucket_of(session_id), "session_id": session_id,
            "workflow": "echo", "status": status, "on_busy": "enqueue", "input": "null", "waits": waits,
            "ended_at": datetime.now(UTC) if status in ENDED else None,
        }  # fmt: skip
        if status not in ENDED:
            values["place"] = await self.connection.fetchval("SELECT nextval('places')")
        values |= {
            name: json.dumps(value)
            if name in {"input", "result", "error", "waits", "tags"} and value is not None
            else value
            for name, value in columns.items()
        }
        values = {
            name: value.encode() if name in JSON and isinstance(value, str) else value for name, value in values.items()
        }
        names = ", ".join(values)
        marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        await self.connection.execute(f"INSERT INTO turns ({names}) VALUES ({marks})", *values.values())  # noqa: S608
        return turn_id

    async def events(self, turn_id: uuid.UUID, *events: tuple[str, str, Any], lineage: int = 1) -> None:
        """Events 1..n: (type, key, data)."""
        await self.connection.executemany(
            "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data) VALUES ($1, $2, $3, 1, $4, $5, $6)",
            [
                (turn_id, seq, lineage, event_type, key, json.dumps(data).encode())
                for seq, (event_type, key, data) in enumerate(events, 1)
            ],
        )

    async def accepted_through(self, session: str, moment: datetime, partition_count: int = 64) -> None:
        """The log of a session's partition was read up to a moment."""
        bucket = ids.bucket_of(ids.session_id_of(self.tenant, LANE, session))
        partition = ids.partition_of(bucket, partition_count)
        await self.connection.execute(
            "INSERT INTO positions (log_id, partition, lane, position) VALUES ('test', $1, $2, 1)", partition, LANE
        )  # one that is there stays
        await self.connection.execute(
            "UPDATE positions SET accepted_through = $2 WHERE log_id = 'test' AND partition = $1", partition, moment
        )

    async def inbox(self, turn_id: uuid.UUID) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.connection.fetch(
            "SELECT * FROM inbox WHERE turn_id = $1 ORDER BY sent_at", turn_id
        )
        return rows

    async def early(self, turn_id: uuid.UUID) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.connection.fetch(
            "SELECT * FROM early WHERE turn_id = $1 ORDER BY sent_at", turn_id
        )
        return rows


JSON = {"input", "result", "error", "waits", "tags"}

"""Turns whose history a test writes by hand."""

import json
import uuid
from typing import Any

from tests.gateway.rows import Rows


def path_of(turn_id: uuid.UUID) -> str:
    return f"/v1/turns/{turn_id}/events"


async def add_event(
    rows: Rows, turn_id: uuid.UUID, seq: int, type_: str, key: str = "", data: Any = None, **more: int
) -> None:
    await rows.connection.execute(
        "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        turn_id, seq, more.get("lineage", 1), more.get("attempt", 1), type_, key, json.dumps(data or {}).encode(),
    )  # fmt: skip


async def running(rows: Rows, *events: tuple[str, str, Any]) -> uuid.UUID:
    turn_id = await rows.turn("s", "running", attempt=1)
    await rows.events(turn_id, ("turn.started", "", {}), *events)
    return turn_id


async def forget(rows: Rows, turn_id: uuid.UUID) -> None:
    """As retention does it: at once."""
    async with rows.connection.transaction():
        await rows.connection.execute("DELETE FROM turns WHERE turn_id = $1", turn_id)
        await rows.connection.execute("DELETE FROM events WHERE turn_id = $1", turn_id)

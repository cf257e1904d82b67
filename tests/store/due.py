"""Rows of the inbox that are sent and fall due, and what is read of them."""

import uuid
from collections.abc import Sequence

from argosy.store.head import DueRow, Heads
from argosy.turn.inbox import Queue
from tests.store.hand import LANE, TENANT, Hand, New

NIL = uuid.UUID(int=0)
SEND = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, sent_at, due_at)"
    " SELECT gen_random_uuid(), $1, $2, $3, $4, $5, 'signal', 's' || n, now() - $6::interval, now() - $6::interval"
    " FROM generate_series(1, $7) AS n"
)


async def send(hand: Hand, turn: New, count: int = 1, age: str = "1 second") -> None:
    await hand.connections[2].execute(
        SEND.replace("$6", f"'{age}'").replace("$7", str(count)),
        LANE, turn.bucket, TENANT, turn.session_id, turn.turn_id,
    )  # fmt: skip


async def due(
    heads: Heads,
    ranges: Sequence[tuple[int, int]] = ((0, 1023),),
    known: Sequence[uuid.UUID] = (),
    *,
    each: int = 10,
    size_bytes_max: int = 1_000,
) -> list[DueRow]:
    return await heads.due_inbox(ranges, known, dict.fromkeys(Queue, each), size_bytes_max)


async def read_through(hand: Hand, turn: New, age_s: float) -> None:
    """The log of the turn's partition is accepted through so long ago."""
    await hand.rows(
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count) VALUES ($1, 'c', 'l', 't', 64)"
        " ON CONFLICT (lane) DO UPDATE SET partition_count = 64",
        LANE,
    )
    await hand.rows(
        "INSERT INTO positions (log_id, partition, lane, position, accepted_through)"
        " VALUES ('l', $1, $2, 1, now() - make_interval(secs => $3))",
        turn.bucket * 64 // 1024,
        LANE,
        age_s,
    )


WRITE = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, payload, due_at)"
    " SELECT gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8, now() - make_interval(secs => n)"
    " FROM generate_series(1, $9::integer) AS n"
)


async def write(hand: Hand, turn: New, kind: str, name: str = "", count: int = 1, payload: bytes | None = None) -> None:
    await hand.connections[2].execute(
        WRITE, LANE, turn.bucket, TENANT, turn.session_id, turn.turn_id, kind, name, payload, count
    )

"""One worker's hand in SQL: the calls of accept, flush and claim with their arrays, and nothing in between."""

import itertools
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from argosy import ids
from argosy.store.columns import columns
from argosy.store.numbered_stream import Answer
from argosy.store.parameters import DEAD_LETTERS, EVENTS, MOVES, PLACEMENTS, RECORDS, ROWS, TURNS, Group
from argosy.store.pool import connect
from argosy.store.queries import load_queries

FLUSH_SQL = load_queries("flush")
CLAIM = load_queries("partition")["claim"]
PARTITION_COUNT = 4
LANE, TENANT, LOG = "default", "acme", "log-1"


@dataclass
class New:
    """A record of the log."""

    session: str = "s"
    lane: str = LANE
    on_busy: str = "enqueue"
    priority: int = 0
    not_before: datetime | None = None
    deadline_s: float | None = None
    key: str = ""
    digest: bytes | None = None
    input: bytes = b"{}"
    created_by: bytes | None = None
    turn_id: uuid.UUID = field(default_factory=lambda: uuid.UUID(bytes=os.urandom(16)))

    @property
    def session_id(self) -> uuid.UUID:
        return ids.session_id_of(TENANT, self.lane, self.session)

    @property
    def bucket(self) -> int:
        return ids.bucket_of(self.session_id)

    @property
    def partition(self) -> int:
        return ids.partition_of(self.bucket, PARTITION_COUNT)


@dataclass
class Sent:
    """A row for another turn."""

    to: New
    kind: str = "resume"
    request: str | None = None
    lane: str | None = None
    payload: bytes | None = None


@dataclass
class Change:
    """What a turn was, and what it becomes. events: (type, key); rows: (inbox_id, kind, name, due_s)."""

    turn: New
    old: tuple[str, int, int]
    status: str
    attempt: int = 1
    events: Sequence[tuple[str, str]] = ()
    rows: Sequence[tuple[uuid.UUID, str, str, float]] = ()
    moves: Sequence[tuple[uuid.UUID, str]] = ()
    sent: Sequence[Sent] = ()

    @property
    def seq(self) -> int:
        return self.old[2] + len(self.events)


class Hand:
    """A worker with its two streams on one connection each."""

    def __init__(self, dsn: str, lane: str = LANE) -> None:
        self.dsn = dsn
        self.lane = lane
        self.worker_id = uuid.uuid4()
        self.epochs: dict[int, int] = {}
        self.nos = {1: 0, 2: 0}
        self.last: dict[int, tuple[Any, ...]] = {}
        self.connections: dict[int, Any] = {}

    async def open(self) -> "Hand":
        for stream in (1, 2):
            self.connections[stream] = await connect(self.dsn)
            await self.connections[stream].execute(load_queries("stream")["open_stream"], self.worker_id, stream)
        return self

    async def close(self) -> None:
        for connection in self.connections.values():
            connection.terminate()

    async def claim(self, *partitions: int, log: str = LOG) -> dict[int, int]:
        """Claims and opens positions at 0; all partitions when none is named."""
        asked = list(partitions or range(PARTITION_COUNT))
        rows = await self.connections[2].fetch(CLAIM, self.worker_id, "127.0.0.1:1", self.lane, asked, None)
        self.epochs.update({row[0]: row[1] for row in rows})
        await self.open_positions(log)
        return {row[0]: row[1] for row in rows}

    async def open_positions(self, log: str) -> None:
        statement = load_queries("partition")["open_positions"]
        await self.connections[2].execute(statement, log, self.lane, list(self.epochs), [0] * len(self.epochs))

    async def position(self, partition: int, log: str = LOG) -> int:
        query = "SELECT position_of($1, $2)"
        return int(await self.connections[1].fetchval(query, log, partition))

    async def accept(
        self, *turns: New, at: dict[int, int] | None = None, log: str = LOG, dead: Sequence[tuple[Any, ...]] = ()
    ) -> Answer:
        """One record a turn, from the stored position on, or from `at`."""
        partitions = sorted({turn.partition for turn in turns} | {row[0] for row in dead} | set(at or ()))
        froms = [(at or {}).get(each, await self.position(each, log)) for each in partitions]
        records = [turn.partition for turn in turns] + [row[0] for row in dead]
        counts = [records.count(each) for each in partitions]
        return await self.call(
            1, *accept_arguments(self.lane, log, partitions, self.epochs, froms, counts, turns, dead)
        )

    async def start(self, *turns: New) -> Answer:
        """Accept turns that other turns started: no position is moved."""
        partitions = sorted({turn.partition for turn in turns})
        zeros = [0] * len(partitions)
        arguments = accept_arguments(self.lane, LOG, partitions, self.epochs, zeros, zeros, turns)
        arguments[4] = arguments[5] = [None] * len(partitions)
        return await self.call(1, *arguments)

    async def flush(
        self,
        *changes: Change,
        moves: Sequence[tuple[int, uuid.UUID, str]] = (),
        placements: Sequence[New] = (),
    ) -> Answer:
        """moves: (partition, inbox_id, to) that belong to no change."""
        return await self.call(2, *flush_arguments(self.lane, self.epochs, changes, moves, placements))

    async def call(self, stream: int, *arguments: Any) -> Answer:
        self.last[stream] = arguments
        answer = await self.send(stream, self.nos[stream] + 1, arguments)
        self.nos[stream] += 1
        return answer

    async def repeat(self, stream: int) -> Answer:
        """The last call once more, as after an unknown outcome."""
        return await self.send(stream, self.nos[stream], self.last[stream])

    async def send(self, stream: int, no: int, arguments: Sequence[Any]) -> Answer:
        statement = FLUSH_SQL["accept" if stream == 1 else "flush"]
        return Answer(*await self.connections[stream].fetchrow(statement, self.worker_id, no, *arguments))

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.connections[2].fetch(query, *arguments)]

    async def turn(self, turn: New) -> Any:
        return await self.connections[2].fetchrow("SELECT * FROM turns WHERE turn_id = $1", turn.turn_id)

    async def status(self, turn: New) -> str:
        return str((await self.turn(turn))["status"])


def row(group: Group, **values: Any) -> tuple[Any, ...]:
    """A row of a group by the names of its columns; those that are not named are NULL."""
    assert not values.keys() - set(group)
    return tuple(values.get(each) for each in group)


def accept_arguments(
    lane: str,
    log: str,
    partitions: Sequence[int],
    epochs: dict[int, int],
    froms: Sequence[int],
    counts: Sequence[int],
    turns: Sequence[New],
    dead: Sequence[tuple[Any, ...]] = (),
) -> list[Any]:
    rows = [
        row(
            RECORDS, partition=each.partition, turn=each.turn_id, tenant=TENANT, session=each.session_id,
            name=each.session, bucket=each.bucket, workflow="echo", input=each.input, on_busy=each.on_busy,
            priority=each.priority, not_before=each.not_before, deadline_s=each.deadline_s, key=each.key,
            digest=each.digest, created_by=each.created_by,
        )
        for each in turns
    ]  # fmt: skip
    return [
        lane, log, list(partitions), [epochs.get(each, 0) for each in partitions], list(froms),
        [first + count for first, count in zip(froms, counts, strict=True)], [None] * len(partitions),
        *columns(rows, RECORDS), *columns(dead, DEAD_LETTERS),
    ]  # fmt: skip


def flush_arguments(
    lane: str,
    epochs: dict[int, int],
    changes: Sequence[Change],
    moves: Sequence[tuple[int, uuid.UUID, str]] = (),
    placements: Sequence[New] = (),
) -> list[Any]:
    touched = [each.turn.partition for each in changes] + [each.partition for each in placements]
    partitions = sorted({*touched, *(row[0] for row in moves)})
    turns, events, rows, moved = [], [], [], [(0, *row) for row in moves]
    for index, each in enumerate(changes, 1):
        turns.append(
            row(
                TURNS, partition=each.turn.partition, turn=each.turn.turn_id, old_status=each.old[0],
                old_attempt=each.old[1], old_seq=each.old[2], status=each.status, attempt=each.attempt, seq=each.seq,
                crashes=0, waits=b"[]" if each.status == "suspended" else None,
            )
        )  # fmt: skip
        seqs = itertools.count(each.old[2] + 1)
        events += [(index, next(seqs), each.attempt, kind, key, b"{}") for kind, key in each.events]
        rows += [
            row(ROWS, index=index, id=row_id, kind=kind, name=name, correlation="", due_s=due_s)
            for row_id, kind, name, due_s in each.rows
        ]
        rows += [
            row(
                ROWS, index=index, id=uuid.uuid4(), lane=sent.lane, bucket=sent.to.bucket, session=sent.to.session_id,
                turn=sent.to.turn_id, kind=sent.kind, name="", correlation="", request=sent.request,
                payload=sent.payload, due_s=0.0,
            )
            for sent in each.sent
        ]  # fmt: skip
        moved += [(index, each.turn.partition, row_id, to) for row_id, to in each.moves]
    return [
        lane, partitions, [epochs.get(each, 0) for each in partitions],
        *columns(turns, TURNS), *columns(events, EVENTS), *columns(rows, ROWS), *columns(moved, MOVES),
        *columns([(each.partition, each.turn_id) for each in placements], PLACEMENTS),
    ]  # fmt: skip

"""The role that erases, with its database and its shards in memory, and what may stand of somebody in them."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy import config
from argosy.erasure import ErasureKind, erasure_id_of, target_digest
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import OF_TENANTS
from argosy.identity.turn_principal import recorded
from argosy.ids import bucket_of, session_id_of
from argosy.ingest.job import bucket_of_graph
from argosy.log import Identity
from argosy.record import TurnRequested, encode
from argosy.store.erasure import ErasureRow, NewErasure, begin_erasure, get_erasure, receipts_of
from argosy.store.graph import Directory
from argosy.store.lane_log import LaneLogs
from argosy.store.pool import Pool
from argosy.workers.maintenance.erasing import Erasing
from argosy.workers.maintenance.forgetting import GraphsForgetting
from tests.graph.memory_shards import MemoryShards
from tests.harness.hand_clock import AheadClock
from tests.maintenance.term import term_of
from tests.store.hand import LANE, PARTITION_COUNT, TENANT, Change, Hand, New
from tests.store.test_flush import QUEUED

MARKER = "quetzalmarker"
IDENTITY = Identity("cluster", "topic", PARTITION_COUNT)
ENDED = [("turn.completed", MARKER)]


class Forgetful:
    """The role with its term, its database and its shards."""

    def __init__(self, dsn: str, pool: Pool, hand: Hand, shards: MemoryShards) -> None:
        self.dsn, self.pool, self.hand, self.shards = dsn, pool, hand, shards
        settings = config.load(
            {"RETENTION_BATCH_MAX": "2", "ENGINE_BREAKER_THRESHOLD": "3", "ENGINE_BREAKER_COOLDOWN": "0.3"}
        )
        self.clock = AheadClock()
        directory = Directory(pool)
        self.members = Members(directory, shards, settings, self.clock)
        self.graphs = Graphs(directory, self.members, settings, self.clock)
        self._forgetting = GraphsForgetting(directory, self.members, self.clock)
        self._settings = settings
        self.share(10.0)

    def share(self, share_s: float) -> None:
        """From now on, a tick may take so long."""
        self.role = Erasing(self._settings, self.pool, self._forgetting, self.clock, share_s=share_s)

    async def ask(self, kind: ErasureKind, target: str | None = None, key: str = "key") -> uuid.UUID:
        asked = erasure_id_of(TENANT, key)
        session_id = session_id_of(TENANT, LANE, target or "") if kind is ErasureKind.SESSION else None
        bucket = bucket_of(session_id) if session_id else None
        if kind is ErasureKind.GRAPH:
            bucket = bucket_of_graph(TENANT, target or "")
        digest = target_digest(kind, LANE, target or "")
        await begin_erasure(self.pool, NewErasure(asked, TENANT, LANE, kind, target, digest, session_id, bucket))
        return asked

    async def is_read(self) -> None:
        """Everything that is in the log by now was read."""
        await self.hand.rows("UPDATE positions SET accepted_through = now() RETURNING 1")

    async def tick(self, erasure_id: uuid.UUID, ticks: int = 1) -> ErasureRow:
        await self.members.refresh()
        term = await term_of(self.dsn, self.role.name)
        for _ in range(ticks):
            await self.role.tick(term)
        row = await get_erasure(self.pool, erasure_id, TENANT)
        assert row is not None
        return row

    async def receipt(self, erasure_id: uuid.UUID) -> dict[tuple[str, str], int]:
        items = (await receipts_of(self.pool, [erasure_id]))[erasure_id]
        return {(each.place, each.what): each.removed for each in items}

    async def accepted(self, *turns: New) -> None:
        await self.hand.accept(*turns, log=IDENTITY.log_id)

    async def end(self, *turns: New) -> None:
        await self.hand.flush(*(Change(turn, QUEUED, "completed", events=ENDED) for turn in turns))

    async def where(self, marker: str = MARKER) -> list[str]:
        """The tables that have the marker, as a dump would show it."""
        found = []
        for (table,) in await self.hand.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'argosy'"):
            text = str(await self.hand.rows(f"SELECT t::text FROM {table} AS t"))  # noqa: S608
            if marker in text or marker.encode().hex() in text:
                found.append(table)
        return sorted(found)


@pytest.fixture
async def forgetful(store_dsn: str, hand: Hand) -> AsyncIterator[Forgetful]:
    pool = Pool(store_dsn, 2, 10.0)
    await LaneLogs(pool, LANE).set(IDENTITY, "turns.default", None)
    await hand.rows("UPDATE positions SET log_id = $1 RETURNING 1", IDENTITY.log_id)
    shards = MemoryShards("one", "two")
    await Directory(pool).seed(shards.members)
    forgetful = Forgetful(store_dsn, pool, hand, shards)
    yield forgetful
    await forgetful.members.close()
    await pool.close()


async def filled(forgetful: Forgetful, session: str = MARKER) -> list[New]:
    """Five turns of a session, ended, that left something wherever turns leave something."""
    who = recorded(Principal(PrincipalKind.JWT, MARKER, TENANT, OF_TENANTS))
    turns = [New(session, key=f"{MARKER}-{n}", input=f'"{MARKER}"'.encode(), created_by=who) for n in range(5)]
    await forgetful.accepted(*turns)
    for turn in turns:
        await forgetful.end(turn)
    hand, last = forgetful.hand, turns[-1]
    await hand.rows(
        "INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, payload, state)"
        " VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, 'signal', $6, $7, 'late') RETURNING 1",
        LANE, last.bucket, TENANT, last.session_id, last.turn_id, MARKER, MARKER.encode(),
    )  # fmt: skip
    record = encode(TurnRequested(uuid.uuid4().bytes, TENANT, LANE, session, "echo", MARKER.encode()))
    await hand.rows(
        "INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)"
        " VALUES ('log', 0, nextval('places'), $1, $2, 'code', 'why') RETURNING 1",
        LANE, record,
    )  # fmt: skip
    return turns

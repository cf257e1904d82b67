"""What the role erase forgets everywhere, what it waits for, and what it must keep."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy import config
from argosy.erasure import ErasureKind, Stage, erasure_id_of, target_digest
from argosy.errors import GraphNotFoundError, OwnershipLostError
from argosy.graph.facts import NO_SOURCE, Source
from argosy.graph.feeds import FeedBatch, source_of
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.ids import bucket_of, session_id_of
from argosy.ingest.chain import EMPTY, chain
from argosy.ingest.job import bucket_of_graph, feed_of
from argosy.log import Identity
from argosy.record import TurnRequested, encode
from argosy.store.erasure import ErasureRow, NewErasure, begin_erasure, get_erasure, receipts_of
from argosy.store.graph import Directory
from argosy.store.ingest import Jobs
from argosy.store.lane_log import LaneLogs
from argosy.store.pool import Pool
from argosy.workers.maintenance.erasing import Erasing
from argosy.workers.maintenance.forgetting import GraphsForgetting
from tests.graph.memory_shards import MemoryShards
from tests.harness.hand_clock import AheadClock
from tests.maintenance.term import term_of
from tests.store.hand import LANE, PARTITION_COUNT, TENANT, Change, Hand, New
from tests.store.job_hand import Job
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
        forgetting = GraphsForgetting(directory, self.members, self.clock)
        self.role = Erasing(settings, pool, forgetting, self.clock, share_s=10.0)

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
    turns = [New(session, key=f"{MARKER}-{n}", input=f'"{MARKER}"'.encode()) for n in range(5)]
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


async def test_a_session_is_forgotten_wherever_it_stands(forgetful: Forgetful) -> None:
    other = New("other", input=b'"kept"')
    await forgetful.accepted(other)
    await filled(forgetful)
    await forgetful.is_read()
    before = await forgetful.where()
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    assert before == ["dead_letters", "events", "inbox", "sessions", "turns"]

    await forgetful.is_read()
    row = await forgetful.tick(erasure)

    assert row.stage is Stage.DONE
    assert await forgetful.where() == []
    assert await forgetful.receipt(erasure) == {
        ("postgres", "turns"): 5,
        ("postgres", "events"): 5,
        ("postgres", "inbox rows"): 1,
        ("postgres", "sessions"): 1,
        ("postgres", "dead letters"): 1,
    }
    assert await forgetful.where("other") == ["sessions"]
    assert (await forgetful.hand.turn(other))["tenant"] == TENANT


async def test_it_begins_when_the_log_was_read_up_to_when_it_was_asked_for(forgetful: Forgetful) -> None:
    late = New(MARKER)
    await forgetful.is_read()
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)

    row = await forgetful.tick(erasure)
    assert (row.stage, row.waits_for) == (Stage.READING, "records that came before are still to be read: default")

    await forgetful.accepted(late)
    await forgetful.end(late)
    await forgetful.is_read()
    assert (await forgetful.tick(erasure)).stage is Stage.DONE
    assert await forgetful.where() == []


async def test_turns_that_are_open_are_cancelled_and_waited_for(forgetful: Forgetful) -> None:
    turn = New(MARKER)
    await forgetful.accepted(turn)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()

    row = await forgetful.tick(erasure, ticks=2)
    assert (row.stage, row.waits_for) == (Stage.ENDING, "its turns have to end first: they were cancelled")
    assert await forgetful.hand.rows("SELECT kind, request_id, state FROM inbox") == [("cancel", "cancel", "due")]

    await forgetful.end(turn)
    assert (await forgetful.tick(erasure)).stage is Stage.DONE


async def test_a_record_that_is_read_again_brings_nothing_back(forgetful: Forgetful) -> None:
    turns = await filled(forgetful)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    await forgetful.tick(erasure)
    await forgetful.hand.rows("UPDATE positions SET position = 0 RETURNING 1")

    await forgetful.accepted(*turns)

    assert await forgetful.where() == []
    assert await forgetful.hand.rows("SELECT count(*) FROM turns WHERE ended_at IS NULL") == [(0,)]


async def test_what_comes_later_stays_and_a_key_is_free_again(forgetful: Forgetful) -> None:
    await filled(forgetful)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    await forgetful.tick(erasure)
    again = New(MARKER, key=f"{MARKER}-0")

    await forgetful.accepted(again)

    assert await forgetful.hand.status(again) == "queued"
    assert await forgetful.where() == ["sessions", "turns"]


async def test_one_turn_goes_with_its_duplicates_and_its_session_stays(forgetful: Forgetful) -> None:
    turn, kept = New("s", key="k", input=f'"{MARKER}"'.encode()), New("s")
    await forgetful.accepted(turn, kept)
    duplicate = New("s", key="k")
    await forgetful.accepted(duplicate)
    await forgetful.end(turn)
    await forgetful.is_read()
    erasure = await forgetful.ask(ErasureKind.TURN, str(turn.turn_id))
    await forgetful.hand.rows("UPDATE erasures SET bucket = $1 RETURNING 1", turn.bucket)

    await forgetful.is_read()
    row = await forgetful.tick(erasure)

    assert row.stage is Stage.DONE
    assert await forgetful.where() == []
    assert [(await forgetful.hand.turn(each))["tenant"] for each in (turn, duplicate, kept)] == ["", "", TENANT]
    assert await forgetful.hand.rows("SELECT name FROM sessions") == [("s",)]


async def test_graphs_forget_what_the_turns_wrote_and_keep_the_rest(forgetful: Forgetful) -> None:
    (turn, *_) = await filled(forgetful)
    await forgetful.members.refresh()
    for name in ("alpha", "beta"):
        await forgetful.graphs.create(TENANT, name)
        graph = forgetful.graphs.of(TENANT, name)
        await graph.apply([UpsertNode(MARKER, "Person")], source=Source(str(turn.turn_id), "s"))
        await graph.apply([UpsertNode("kept", "Person")], source=NO_SOURCE)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()

    row = await forgetful.tick(erasure, ticks=2)

    assert row.stage is Stage.DONE
    files = [file for name in ("alpha", "beta") for file in forgetful.shards.files_of(TENANT, name)]
    assert [list(file.nodes) for file in files] == [["kept"], ["kept"]]
    receipt = await forgetful.receipt(erasure)
    assert (receipt["graph alpha", "nodes"], receipt["graph beta", "nodes"]) == (1, 1)


async def test_an_erasure_that_waits_for_a_shard_says_so_and_keeps_no_other_one_waiting(forgetful: Forgetful) -> None:
    await filled(forgetful)
    await forgetful.accepted(other := New("other"))
    await forgetful.end(other)
    await forgetful.members.refresh()
    made = await forgetful.graphs.create(TENANT, "alpha")
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    graph = await forgetful.ask(ErasureKind.GRAPH, "none", key="other")
    await forgetful.is_read()
    forgetful.shards.down.add(forgetful.shards.endpoint_of(made.shard))

    row = await forgetful.tick(erasure)

    assert row.stage is Stage.TURNS
    assert "alpha" not in row.cursor
    assert row.waits_for
    assert (await forgetful.tick(graph)).stage is Stage.DONE
    forgetful.shards.down.clear()
    forgetful.clock.ahead_s += 1.0  # the pause of the breaker
    assert (await forgetful.tick(erasure, ticks=2)).stage is Stage.DONE


async def test_a_tenant_is_forgotten_with_its_graphs_and_another_one_stays(forgetful: Forgetful) -> None:
    await filled(forgetful)
    await filled(forgetful, "second")
    await forgetful.members.refresh()
    for tenant in (TENANT, "rival"):
        await forgetful.graphs.create(tenant, MARKER)
    await forgetful.hand.rows(
        "INSERT INTO early (inbox_id, lane, bucket, tenant, turn_id, kind, name, request_id, payload)"
        " VALUES (gen_random_uuid(), $1, 1, $2, gen_random_uuid(), 'signal', $3, 'r', $4) RETURNING 1",
        LANE, TENANT, MARKER, MARKER.encode(),
    )  # fmt: skip
    erasure = await forgetful.ask(ErasureKind.TENANT)
    await forgetful.is_read()

    row = await forgetful.tick(erasure, ticks=3)

    assert row.stage is Stage.DONE
    assert await forgetful.where() == ["graphs"]
    assert [file.ref.tenant for file in forgetful.shards.files_of("rival", MARKER)] == ["rival"]
    assert forgetful.shards.files_of(TENANT, MARKER) == []
    assert await forgetful.where(TENANT) == ["erasures"]
    receipt = await forgetful.receipt(erasure)
    assert (receipt["postgres", "turns"], receipt["postgres", "sessions"], receipt["shards", "graphs"]) == (10, 2, 1)


@pytest.mark.parametrize("state", ["copying", "aborted"])
async def test_a_graph_is_not_gone_while_a_shard_that_it_was_to_move_to_has_a_copy(
    forgetful: Forgetful, state: str
) -> None:
    one, two = (each.member_id for each in forgetful.shards.members)
    await forgetful.hand.rows(
        """INSERT INTO graph_moves
          (move_id, tenant, graph, incarnation, source, target, generation, state, ended_at, is_target_dirty)
        VALUES (gen_random_uuid(), $1, $2, gen_random_uuid(), $3, $4, 1, $5::text,
                CASE WHEN $5::text = 'aborted' THEN now() END, $5::text = 'aborted') RETURNING 1""",
        TENANT, MARKER, one, two, state,
    )  # fmt: skip
    erasure = await forgetful.ask(ErasureKind.GRAPH, MARKER)

    waiting = await forgetful.tick(erasure, ticks=2)
    await forgetful.hand.rows(
        "UPDATE graph_moves SET state = 'aborted', ended_at = now(), is_target_dirty = false RETURNING 1"
    )
    row = await forgetful.tick(erasure, ticks=2)

    assert waiting.stage is not Stage.DONE
    assert "by their shards: 1" in waiting.waits_for
    assert row.stage is Stage.DONE
    assert await forgetful.where() == []


async def test_a_graph_is_forgotten_with_its_jobs_whose_records_bring_nothing_back(forgetful: Forgetful) -> None:
    jobs, gone, kept = Jobs(forgetful.pool), Job(MARKER), Job("other")
    for job in (gone, kept):
        await jobs.begin(job.new, IDENTITY.log_id)
    await forgetful.hand.rows(
        "INSERT INTO ingest_rejects (job_id, line, code, reason, start) VALUES ($1, 1, 'c', 'r', $2) RETURNING 1",
        gone.job_id, MARKER.encode(),
    )  # fmt: skip
    await forgetful.members.refresh()
    await forgetful.graphs.create(TENANT, MARKER)
    erasure = await forgetful.ask(ErasureKind.GRAPH, MARKER)

    row = await forgetful.tick(erasure, ticks=2)
    with pytest.raises(GraphNotFoundError):
        await jobs.begin(gone.new, IDENTITY.log_id)  # a gateway that comes late

    assert row.stage is Stage.DONE
    assert forgetful.shards.files_of(TENANT, MARKER) == []
    assert await forgetful.hand.rows("SELECT tenant, state, code FROM ingest_jobs WHERE job_id = $1", gone.job_id) == [
        ("", "cancelled", "erased")
    ]
    assert await forgetful.where() == []
    assert await jobs.find(kept.job_id, TENANT) is not None
    assert await forgetful.receipt(erasure) == {
        ("postgres", "jobs"): 1, ("postgres", "rejects"): 1, ("shards", "graphs"): 1
    }  # fmt: skip


async def test_a_turn_is_forgotten_with_the_jobs_it_started(forgetful: Forgetful) -> None:
    turn, *_ = await filled(forgetful)
    await forgetful.members.refresh()
    made = await forgetful.graphs.create(TENANT, "alpha")
    jobs, gone, kept = Jobs(forgetful.pool), Job("alpha", made.incarnation), Job("alpha", made.incarnation)
    own = Job(f"session:{LANE}/{MARKER}")
    keyed = gone.new._replace(key=f"{turn.turn_id}/ingest:start")
    for new in (keyed, kept.new, own.new):
        await jobs.begin(new, IDENTITY.log_id)
    for job in (gone, kept):
        feed, line = feed_of(job.job_id), b'{"op": "upsert_node", "id": "%s", "label": "X"}' % str(job.job_id).encode()
        batch = FeedBatch(feed, 1, 1, 2, EMPTY, chain(EMPTY, line), line, source=source_of(feed))
        await forgetful.graphs.of(TENANT, "alpha").ingest(batch)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()

    row = await forgetful.tick(erasure, ticks=2)
    with pytest.raises(GraphNotFoundError):
        await jobs.begin(keyed, IDENTITY.log_id)
    late = keyed._replace(job_id=uuid.uuid4())
    with pytest.raises(GraphNotFoundError):  # a worker that wakes up late, in a turn that was erased
        await jobs.begin(late, IDENTITY.log_id)

    assert row.stage is Stage.DONE
    (file,) = forgetful.shards.files_of(TENANT, "alpha")
    assert list(file.nodes) == [str(kept.job_id)]
    assert await forgetful.where() == []
    found = await forgetful.hand.rows("SELECT job_id, tenant, code FROM ingest_jobs ORDER BY code")
    assert sorted(map(tuple, found)) == sorted(
        [(kept.job_id, TENANT, ""), (gone.job_id, "", "erased"), (own.job_id, "", "erased")]
    )
    receipt = await forgetful.receipt(erasure)
    assert (receipt["postgres", "jobs"], receipt["graph alpha", "nodes"]) == (2, 1)


async def test_records_in_postgres_log_are_emptied_and_those_of_others_stay(forgetful: Forgetful) -> None:
    turns = await filled(forgetful)
    await forgetful.hand.rows("SELECT log_make_topic('turns.default', 1)")
    ((topic,),) = await forgetful.hand.rows("SELECT topic_id FROM log_topics")
    others = [New("other") for _ in range(3)]
    for position, turn in enumerate([*others, *turns]):
        record = encode(TurnRequested(turn.turn_id.bytes, TENANT, LANE, turn.session, "echo", turn.input))
        await forgetful.hand.rows(
            "INSERT INTO log_records (topic_id, partition, position, at, key, value)"
            " VALUES ($1, 0, $2, now(), 'k', $3) RETURNING 1",
            topic, position, record,
        )  # fmt: skip
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()

    await forgetful.tick(erasure)

    values = await forgetful.hand.rows("SELECT value <> '' FROM log_records ORDER BY position")
    assert [each[0] for each in values] == [True] * 3 + [False] * 5
    assert (await forgetful.receipt(erasure))["postgres log", "records"] == 5
    assert await forgetful.where() == []


async def test_a_backup_is_named_and_a_deleted_one_is_not(forgetful: Forgetful) -> None:
    await forgetful.hand.rows(
        "INSERT INTO backups (backup_id, made_at, place, graphs, sha256, gone_at) VALUES"
        " ($1, '2026-11-01Z', 's3://one', 3, '', NULL), ($2, '2026-10-01Z', 's3://two', 3, '', now()) RETURNING 1",
        uuid.UUID(int=1), uuid.UUID(int=2),
    )  # fmt: skip
    erasure = await forgetful.ask(ErasureKind.SESSION, "nobody")
    await forgetful.is_read()

    await forgetful.tick(erasure)

    assert await forgetful.receipt(erasure) == {(f"backup {uuid.UUID(int=1)}", "2026-11-01T00:00:00Z, s3://one"): 0}


async def test_a_leader_that_was_deposed_forgets_nothing(forgetful: Forgetful) -> None:
    await filled(forgetful)
    await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    term = await term_of(forgetful.dsn, forgetful.role.name)
    await term_of(forgetful.dsn, forgetful.role.name)

    with pytest.raises(OwnershipLostError):
        await forgetful.role.tick(term)

    assert "turns" in await forgetful.where()

"""What the role erase forgets everywhere, what it waits for, and what it must keep."""

import uuid

import pytest

from argosy.erasure import ErasureKind, Stage
from argosy.errors import GraphNotFoundError, OwnershipLostError
from argosy.graph.facts import NO_SOURCE, Source
from argosy.graph.feeds import FeedBatch, source_of
from argosy.graph.ops import UpsertNode
from argosy.ingest.chain import EMPTY, chain
from argosy.ingest.job import feed_of, key_of_turn
from argosy.record import TurnRequested, encode
from argosy.store.ingest import Jobs
from tests.maintenance.forgetful import IDENTITY, MARKER, Forgetful, filled
from tests.maintenance.term import term_of
from tests.store.hand import LANE, TENANT, New
from tests.store.job_hand import Job


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
    assert row.stage is Stage.READING
    assert row.waits_for.startswith("records that came before are still to be read: lane default, by a dispatch worker")

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
    assert (row.stage, row.waits_for) == (
        Stage.ENDING,
        "its turns have to end first, at dispatch workers of their lanes: they were cancelled",
    )
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
    assert await forgetful.where(TENANT) == ["audit", "erasures"]
    receipt = await forgetful.receipt(erasure)
    assert (receipt["postgres", "turns"], receipt["postgres", "sessions"], receipt["shards", "graphs"]) == (10, 2, 1)


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
    keyed = gone.new._replace(key=key_of_turn(turn.turn_id, "ingest:start"))
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


async def test_a_backup_is_named_with_where_its_keys_are_and_a_deleted_one_is_not(forgetful: Forgetful) -> None:
    await forgetful.hand.rows(
        "INSERT INTO backups (backup_id, made_at, place, graphs, keys, sha256, gone_at) VALUES"
        " ($1, '2026-11-01Z', 's3://one', 3, NULL, '', NULL), ($2, '2026-11-02Z', 's3://two', 3, 'apart', '', NULL),"
        " ($3, '2026-11-03Z', 's3://three', 3, 'none', '', NULL),"
        " ($4, '2026-10-01Z', 's3://four', 3, 'apart', '', now()) RETURNING 1",
        *(uuid.UUID(int=number) for number in range(1, 5)),
    )
    erasure = await forgetful.ask(ErasureKind.SESSION, "nobody")
    await forgetful.is_read()

    await forgetful.tick(erasure)

    assert await forgetful.receipt(erasure) == {
        (f"backup {uuid.UUID(int=1)}", "2026-11-01T00:00:00Z, s3://one"): 0,
        (f"backup {uuid.UUID(int=2)}", "2026-11-02T00:00:00Z, s3://two, keys apart"): 0,
        (f"backup {uuid.UUID(int=3)}", "2026-11-03T00:00:00Z, s3://three, nothing sealed"): 0,
    }


async def test_a_leader_that_was_deposed_forgets_nothing(forgetful: Forgetful) -> None:
    await filled(forgetful)
    await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    term = await term_of(forgetful.dsn, forgetful.role.name)
    await term_of(forgetful.dsn, forgetful.role.name)

    with pytest.raises(OwnershipLostError):
        await forgetful.role.tick(term)

    assert "turns" in await forgetful.where()

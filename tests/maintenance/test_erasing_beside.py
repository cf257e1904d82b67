"""What an erasure waits for and finds that was made beside it: moves of graphs, and turns that were open."""

import uuid

import pytest

from argosy.erasure import ErasureKind, Stage
from argosy.graph.facts import NO_SOURCE, Source
from argosy.graph.ops import UpsertNode
from argosy.ingest.job import JobKind, bucket_of_graph, job_id_of, key_of_turn
from argosy.store.ingest import Jobs, NewJob
from tests.maintenance.forgetful import IDENTITY, MARKER, Forgetful
from tests.store.hand import TENANT, New

MOVE = """INSERT INTO graph_moves
    (move_id, tenant, graph, incarnation, source, target, generation, state, ended_at, is_target_dirty)
  VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, 1, $6::text,
          CASE WHEN $6::text = 'aborted' THEN now() END, $6::text = 'aborted') RETURNING 1"""
SETTLED = "UPDATE graph_moves SET state = 'aborted', ended_at = now(), is_target_dirty = false RETURNING 1"


async def moving(forgetful: Forgetful, graph: str, incarnation: uuid.UUID, state: str) -> None:
    """A move that goes on, or one that was given up and has left a copy behind."""
    one, two = (each.member_id for each in forgetful.shards.members)
    await forgetful.hand.rows(MOVE, TENANT, graph, incarnation, one, two, state)


@pytest.mark.parametrize("is_planned", ["before", "after"])
@pytest.mark.parametrize("state", ["copying", "aborted"])
async def test_a_graph_is_not_gone_while_a_shard_that_it_was_to_move_to_has_a_copy(
    forgetful: Forgetful, state: str, is_planned: str
) -> None:
    if is_planned == "before":
        await moving(forgetful, MARKER, uuid.uuid4(), state)
    erasure = await forgetful.ask(ErasureKind.GRAPH, MARKER)
    if is_planned == "after":
        await forgetful.hand.rows("UPDATE erasures SET through_at = now(), stage = 'ending' RETURNING 1")
        await moving(forgetful, MARKER, uuid.uuid4(), state)

    waiting = await forgetful.tick(erasure, ticks=2)
    await forgetful.hand.rows(SETTLED)
    row = await forgetful.tick(erasure, ticks=2)

    assert waiting.stage is not Stage.DONE
    assert "by their shards: 1" in waiting.waits_for
    assert row.stage is Stage.DONE
    assert await forgetful.where() == []


async def test_a_move_of_a_graph_that_was_made_again_since_holds_up_nothing(forgetful: Forgetful) -> None:
    erasure = await forgetful.ask(ErasureKind.GRAPH, "again")
    await forgetful.hand.rows("UPDATE erasures SET through_at = now(), stage = 'ending' RETURNING 1")
    await forgetful.members.refresh()
    made = await forgetful.graphs.create(TENANT, "again")
    await moving(forgetful, "again", made.incarnation, "copying")

    assert (await forgetful.tick(erasure, ticks=2)).stage is Stage.DONE


@pytest.mark.parametrize("state", ["copying", "aborted"])
async def test_what_a_turn_wrote_is_not_gone_while_another_shard_has_a_copy_of_the_graph(
    forgetful: Forgetful, state: str
) -> None:
    turn = New("s")
    await forgetful.accepted(turn)
    await forgetful.end(turn)
    await forgetful.members.refresh()
    made = await forgetful.graphs.create(TENANT, "shared")
    await forgetful.graphs.of(TENANT, "shared").apply([UpsertNode(MARKER, "P")], source=Source(str(turn.turn_id), "s"))
    await moving(forgetful, "shared", made.incarnation, state)
    erasure = await forgetful.ask(ErasureKind.TURN, str(turn.turn_id))
    await forgetful.is_read()

    waiting = await forgetful.tick(erasure, ticks=2)
    await forgetful.hand.rows(SETTLED)
    row = await forgetful.tick(erasure, ticks=2)

    assert (waiting.stage, row.stage) == (Stage.TURNS, Stage.DONE)
    assert "a copy of graph 'shared' is still at another shard" in waiting.waits_for
    assert [list(file.nodes) for file in forgetful.shards.files_of(TENANT, "shared")] == [[]]


async def test_what_turns_of_a_tenant_made_before_they_were_cancelled_is_gone_and_the_rest_stays(
    forgetful: Forgetful,
) -> None:
    turn = New("s")
    await forgetful.accepted(turn)
    erasure = await forgetful.ask(ErasureKind.TENANT)
    await forgetful.is_read()
    assert (await forgetful.tick(erasure, ticks=2)).stage is Stage.ENDING

    await forgetful.members.refresh()
    made = await forgetful.graphs.create(TENANT, "notes")
    graph = forgetful.graphs.of(TENANT, "notes")
    await graph.apply([UpsertNode(MARKER, "P")], source=Source(str(turn.turn_id), "s"))
    await graph.apply([UpsertNode("kept", "P")], source=NO_SOURCE)
    job_id = await uploaded(forgetful, turn, "notes", made.incarnation)
    await forgetful.end(turn)
    row = await forgetful.tick(erasure, ticks=3)

    assert row.stage is Stage.DONE
    assert [list(file.nodes) for file in forgetful.shards.files_of(TENANT, "notes")] == [["kept"]]
    jobs = await forgetful.hand.rows("SELECT tenant, code FROM ingest_jobs WHERE job_id = $1", job_id)
    assert jobs == [("", "erased")]
    assert await forgetful.where() == []


async def uploaded(forgetful: Forgetful, turn: New, graph: str, incarnation: uuid.UUID) -> uuid.UUID:
    """A job that a turn has started."""
    return await begun(forgetful, key_of_turn(turn.turn_id, "upload"), graph, incarnation)


async def begun(forgetful: Forgetful, key: str, graph: str, incarnation: uuid.UUID) -> uuid.UUID:
    job_id = job_id_of(TENANT, graph, incarnation, key)
    new = NewJob(job_id, TENANT, graph, incarnation, JobKind.UPLOAD, bucket_of_graph(TENANT, graph), key)
    await Jobs(forgetful.pool).begin(new, IDENTITY.log_id)
    return job_id


async def test_a_client_whose_key_looks_like_that_of_a_turns_upload_has_another_job_which_stays(
    forgetful: Forgetful,
) -> None:
    turn = New("s")
    await forgetful.accepted(turn)
    await forgetful.members.refresh()
    made = await forgetful.graphs.create(TENANT, "notes")
    own = await uploaded(forgetful, turn, "notes", made.incarnation)
    clients = await begun(forgetful, f"{turn.turn_id}/upload", "notes", made.incarnation)
    await forgetful.end(turn)
    erasure = await forgetful.ask(ErasureKind.TURN, str(turn.turn_id))
    await forgetful.is_read()

    row = await forgetful.tick(erasure, ticks=3)
    late = await begun(forgetful, f"{turn.turn_id}/another", "notes", made.incarnation)

    assert row.stage is Stage.DONE
    jobs = await forgetful.hand.rows("SELECT job_id, tenant, state FROM ingest_jobs")
    assert sorted(map(tuple, jobs)) == sorted(
        [(own, "", "cancelled"), (clients, TENANT, "running"), (late, TENANT, "running")]
    )


async def test_jobs_in_many_graphs_are_forgotten_graph_by_graph_however_little_time_there_is(
    forgetful: Forgetful,
) -> None:
    turn = New("s")
    await forgetful.accepted(turn)
    await forgetful.members.refresh()
    for number in range(6):
        made = await forgetful.graphs.create(TENANT, f"g{number}")
        await uploaded(forgetful, turn, f"g{number}", made.incarnation)
    await forgetful.end(turn)
    erasure = await forgetful.ask(ErasureKind.TURN, str(turn.turn_id))
    await forgetful.is_read()
    forgetful.share(0.0)

    left = []
    for _ in range(20):
        row = await forgetful.tick(erasure)
        left.append((await forgetful.hand.rows("SELECT count(*) FROM ingest_jobs WHERE tenant <> ''"))[0][0])
        if row.stage is Stage.DONE:
            break

    assert row.stage is Stage.DONE
    assert left == sorted(left, reverse=True)
    assert len(set(left)) > 3  # some in each tick

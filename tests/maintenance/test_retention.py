"""What the role retention forgets, and what it must keep."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.errors import OwnershipLostError
from argosy.graph.facts import Member
from argosy.ingest.job import LANE as INGEST_LANE
from argosy.log import Identity
from argosy.store.audit import Act
from argosy.store.graph import Directory, GraphRowState, NewGraph
from argosy.store.identity import Identities, NewToken
from argosy.store.ingest import Jobs
from argosy.store.lane_log import LaneLogs
from argosy.store.maintenance import FIRST_PLACE, AgedTurn, Maintenance, Place
from argosy.store.pool import Pool
from argosy.workers.maintenance.retention import Retention, batches
from tests.maintenance.term import term_of
from tests.store.hand import LANE, PARTITION_COUNT, TENANT, Change, Hand, New
from tests.store.job_hand import Job
from tests.store.test_flush import QUEUED, RUNNING, STARTED

MONTH_S = 30 * 86_400.0
IDENTITY = Identity("cluster", "topic", PARTITION_COUNT)


class Keeping:
    """The role retention with its term, over turns that are as old as a test wants them."""

    def __init__(self, hand: Hand, pool: Pool, role: Retention, term: int) -> None:
        self.hand = hand
        self.pool = pool
        self.role = role
        self.term = term

    async def forgotten(self) -> int:
        """Turns that are gone after one more tick."""
        before = await self.left("turns")
        await self.role.tick(self.term)
        return before - await self.left("turns")

    async def age(self, days: float) -> None:
        """Everything that is there happened so many days before."""
        await self.hand.rows(
            "UPDATE turns SET accepted_at = accepted_at - $1::interval, ended_at = ended_at - $1::interval RETURNING 1",
            timedelta(days=days),
        )

    async def trimmed(self, days_ago: float, *partitions: int) -> None:
        """What was accepted before then is gone from the log: from these partitions, or from all. They are read on."""
        await self.hand.rows(
            "UPDATE positions SET trimmed_through = now() - $1::interval, accepted_through = now()"
            " WHERE partition = ANY ($2) RETURNING 1",
            timedelta(days=days_ago),
            list(partitions or range(PARTITION_COUNT)),
        )

    async def left(self, table: str) -> int:
        return int((await self.hand.rows(f"SELECT count(*) FROM {table}"))[0][0])  # noqa: S608


@pytest.fixture
async def keeping(store_dsn: str, hand: Hand) -> AsyncIterator[Keeping]:
    pool = Pool(store_dsn, 2, 10.0)
    await hand.rows("DELETE FROM position_marks RETURNING 1")
    await hand.rows("DELETE FROM lane_logs RETURNING 1")
    await LaneLogs(pool, LANE).set(IDENTITY, "turns.default", None)
    await hand.rows("UPDATE positions SET log_id = $1 RETURNING 1", IDENTITY.log_id)
    settings = config.load({"RETENTION_S": str(MONTH_S), "RETENTION_BATCH_MAX": "2"})
    role = Retention(settings, pool, SystemClock(), share_s=5.0)
    yield Keeping(hand, pool, role, await term_of(store_dsn, "retention"))
    await pool.close()


async def accept(hand: Hand, *turns: New) -> None:
    await hand.accept(*turns, log=IDENTITY.log_id)


async def cancel(hand: Hand, *turns: New) -> None:
    await hand.flush(*(Change(turn, QUEUED, "cancelled", events=[("turn.cancelled", "")]) for turn in turns))


async def test_old_ended_turns_go_with_their_history_and_their_sessions(keeping: Keeping) -> None:
    hand, old, waiting = keeping.hand, New("a"), New("b")
    await accept(hand, old, waiting)
    await hand.flush(Change(old, QUEUED, "running", events=STARTED), Change(waiting, QUEUED, "running", events=STARTED))
    await hand.flush(
        Change(old, RUNNING, "completed", events=[("turn.completed", "")], rows=[(uuid.uuid4(), "signal", "s", 0.0)])
    )
    await keeping.age(40)
    await keeping.trimmed(10)

    assert await keeping.forgotten() == 1

    assert await hand.rows("SELECT turn_id FROM turns") == [(waiting.turn_id,)]
    assert await hand.rows("SELECT DISTINCT turn_id FROM events") == [(waiting.turn_id,)]
    assert await keeping.left("inbox") == 0
    assert await hand.rows("SELECT name FROM sessions") == [("b",)]


async def test_the_graphs_of_a_session_go_with_it(keeping: Keeping) -> None:
    hand, old, waiting = keeping.hand, New("a"), New("b")
    await accept(hand, old, waiting)
    await cancel(hand, old)
    directory, shard = Directory(keeping.pool), Member(uuid.uuid4(), "tcp://shard:1")
    await directory.seed([shard])
    for name, session in (("of-a", old.session_id), ("of-b", waiting.session_id), ("of-none", None)):
        row = NewGraph(TENANT, name, uuid.uuid4(), shard.member_id, GraphRowState.CREATING, session, None)
        assert await directory.add(row)
    await keeping.age(40)
    await keeping.trimmed(10)

    assert await keeping.forgotten() == 1

    assert [row.graph for row in await directory.dropped(uuid.UUID(int=0), 10)] == ["of-a"]
    assert [row.graph for row in await directory.list(TENANT, "", 10)] == ["of-b", "of-none"]


@pytest.mark.parametrize(
    ("days_old", "trimmed_days_ago", "forgotten"),
    [(40, 10, 1), (20, 10, 0), (40, 50, 0)],
    ids=["old and trimmed", "too young", "its record is still in the log"],
)
async def test_a_turn_is_forgotten_when_it_is_old_and_its_record_is_gone(
    keeping: Keeping, days_old: float, trimmed_days_ago: float, forgotten: int
) -> None:
    turn = New("a")
    await accept(keeping.hand, turn)
    await cancel(keeping.hand, turn)
    await keeping.age(days_old)
    await keeping.trimmed(trimmed_days_ago)

    assert await keeping.forgotten() == forgotten


@pytest.mark.parametrize(("hours_later", "forgotten"), [(24, 0), (26, 1)])
async def test_a_turn_stays_while_a_copy_of_its_record_could_be_a_new_turn(
    keeping: Keeping, hours_later: float, forgotten: int
) -> None:
    turn = New("a")
    await accept(keeping.hand, turn)
    await cancel(keeping.hand, turn)
    await keeping.age(40)
    await keeping.trimmed(10)
    await keeping.hand.rows(  # from then on nobody was there who accepts
        "UPDATE positions SET accepted_through = (SELECT accepted_at FROM turns) + $1::interval RETURNING 1",
        timedelta(hours=hours_later),
    )

    assert await keeping.forgotten() == forgotten


async def test_a_partition_that_was_not_trimmed_keeps_its_own_turns_and_no_others(keeping: Keeping) -> None:
    turns = [New(f"s{number}") for number in range(20)]
    await accept(keeping.hand, *turns)
    await cancel(keeping.hand, *turns)
    await keeping.age(40)
    await keeping.trimmed(10, 0, 2, 3)

    await keeping.forgotten()

    left = {row[0] for row in await keeping.hand.rows("SELECT turn_id FROM turns")}
    assert left == {turn.turn_id for turn in turns if turn.partition == 1}


async def test_nothing_goes_while_the_lane_is_on_a_log_of_which_nothing_is_known(keeping: Keeping) -> None:
    turn = New("a")
    await accept(keeping.hand, turn)
    await cancel(keeping.hand, turn)
    await keeping.age(40)
    await keeping.trimmed(10)
    await LaneLogs(keeping.pool, LANE).set(Identity("cluster", "made again", PARTITION_COUNT), "turns.default", "words")

    assert await keeping.forgotten() == 0


async def test_a_turn_stays_while_a_younger_duplicate_of_it_is_known_and_both_go_together(keeping: Keeping) -> None:
    first, again = New("a", key="k"), New("a", key="k")
    await accept(keeping.hand, first)
    await cancel(keeping.hand, first)
    await keeping.age(40)
    await accept(keeping.hand, again)
    await keeping.trimmed(10)

    assert await keeping.forgotten() == 0

    await keeping.age(40)
    assert await keeping.forgotten() == 2
    assert await keeping.left("sessions") == 0


async def test_what_may_not_go_yet_does_not_keep_the_rest_from_going(keeping: Keeping) -> None:
    turns = [New(f"s{number}") for number in range(100)]
    await accept(keeping.hand, *turns)
    await cancel(keeping.hand, *turns)
    await keeping.age(40)
    await keeping.trimmed(10, 3)

    forgotten = await keeping.forgotten()

    assert forgotten == sum(turn.partition == 3 for turn in turns) > 2
    assert await keeping.forgotten() == 0
    await keeping.trimmed(10)
    assert await keeping.forgotten() == 100 - forgotten
    assert await keeping.left("sessions") == 0


async def test_a_session_that_is_being_accepted_into_stays(keeping: Keeping) -> None:
    hand, old, new = keeping.hand, New("a"), New("a")
    await accept(hand, old)
    await cancel(hand, old)
    await keeping.age(40)
    await keeping.trimmed(10)
    transaction = hand.connections[1].transaction()
    await transaction.start()
    await accept(hand, new)

    assert await keeping.forgotten() == 0  # it waits for the accept, and gives up

    await transaction.commit()
    assert await keeping.forgotten() == 1
    assert await hand.rows("SELECT name FROM sessions") == [("a",)]


async def test_strays_go_when_they_are_old(keeping: Keeping) -> None:
    hand = keeping.hand
    await hand.accept(log=IDENTITY.log_id, dead=[(0, 0, b"x", "undecodable_record", "r")])
    await hand.accept(log=IDENTITY.log_id, dead=[(0, 1, b"x", "undecodable_record", "r")])
    await hand.rows("UPDATE dead_letters SET at = now() - interval '40 days' WHERE position = 0 RETURNING 1")
    await hand.rows(
        "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, state, sent_at)"
        " SELECT gen_random_uuid(), 'default', 0, 't', gen_random_uuid(), 'signal', 'late',"
        " now() - n * interval '1 day' FROM generate_series(20, 40, 20) AS n RETURNING 1"
    )
    await keeping.role.tick(keeping.term)
    assert await keeping.left("dead_letters") == 2

    await keeping.trimmed(10)
    await keeping.role.tick(keeping.term)

    assert await hand.rows("SELECT position FROM dead_letters") == [(1,)]
    assert await keeping.left("inbox") == 1


async def test_what_was_sent_to_a_turn_that_never_comes_goes_when_its_partition_was_read_past_it(
    keeping: Keeping,
) -> None:
    hand, here = keeping.hand, New("here")
    await hand.rows(
        "INSERT INTO early (inbox_id, lane, bucket, tenant, turn_id, kind, name, request_id, sent_at)"
        " SELECT gen_random_uuid(), 'default', 0, 't', gen_random_uuid(), 'signal', 'go', 'k',"
        " now() - n * interval '1 minute' FROM generate_series(1, 21, 10) AS n RETURNING 1"
    )
    await keeping.role.tick(keeping.term)
    assert await keeping.left("early") == 3

    await hand.rows(
        "INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record)"
        " SELECT turn_id, lane, bucket, tenant, gen_random_uuid(), '' FROM early RETURNING 1"
    )
    await hand.rows("UPDATE positions SET accepted_through = now() RETURNING 1")
    await keeping.role.tick(keeping.term)
    assert await keeping.left("early") == 3  # they are started, and not accepted yet

    await hand.rows("DELETE FROM starts RETURNING 1")
    await accept(hand, here)
    for tenant in (TENANT, "another"):  # as if the accept had not seen them
        await hand.rows(
            "INSERT INTO early (inbox_id, lane, bucket, tenant, turn_id, kind, name, request_id)"
            " VALUES (gen_random_uuid(), 'default', $1, $2, $3, 'signal', 'go', 'k') RETURNING 1",
            here.bucket, tenant, here.turn_id,
        )  # fmt: skip
    await keeping.role.tick(keeping.term)

    assert await keeping.left("early") == 1
    assert await hand.rows("SELECT turn_id, tenant, state FROM inbox") == [(here.turn_id, TENANT, "due")]


def test_batches_hold_turns_of_one_partition_that_may_go() -> None:
    ids = [uuid.UUID(int=number) for number in range(6)]

    def ended(number: int, partition: int | None, may_go: bool = True) -> AgedTurn:
        return AgedTurn(Place(FIRST_PLACE.ended_at, ids[number]), LANE, partition, may_go)

    turns = [ended(0, 1), ended(1, 2), ended(2, 1), ended(3, 1), ended(4, 1, False), ended(5, None)]

    assert batches(turns, 2) == [(LANE, 1, [ids[0], ids[2]]), (LANE, 1, [ids[3]]), (LANE, 2, [ids[1]])]


async def test_a_late_write_of_a_role_is_refused_and_changes_nothing(keeping: Keeping, store_dsn: str) -> None:
    turn = New("a")
    await accept(keeping.hand, turn)
    await cancel(keeping.hand, turn)
    await keeping.age(40)
    await keeping.trimmed(10)
    await term_of(store_dsn, "retention")

    with pytest.raises(OwnershipLostError):
        await keeping.role.tick(keeping.term)
    late = Maintenance(keeping.pool, "retention", keeping.term)
    with pytest.raises(OwnershipLostError):
        await late.purge_turns(LANE, turn.partition, [turn.turn_id], MONTH_S)

    assert await keeping.left("turns") == 1


async def test_jobs_and_receipts_go_when_they_are_old_and_the_log_has_forgotten_them(keeping: Keeping) -> None:
    hand, jobs = keeping.hand, Jobs(keeping.pool)
    await LaneLogs(keeping.pool, INGEST_LANE).set(IDENTITY, "ingest", None)
    old, kept, open_job = Job(), Job(), Job()
    for job in (old, kept, open_job):
        await jobs.begin(job.new, IDENTITY.log_id)
    for job in (old, kept):
        await jobs.cancel(job.job_id, TENANT)
    await hand.rows(
        "UPDATE ingest_jobs SET ended_at = now() - interval '40 d' WHERE job_id = $1 RETURNING 1", old.job_id
    )
    await hand.rows(
        "INSERT INTO erasures (erasure_id, tenant, lane, kind, target_digest, stage, through_at, ended_at) VALUES"
        " ($1, 't', 'l', 'tenant', '', 'done', now(), now() - interval '40 days'),"
        " ($2, 't', 'l', 'tenant', '', 'done', now(), now()) RETURNING 1",
        uuid.UUID(int=1), uuid.UUID(int=2),
    )  # fmt: skip

    await keeping.role.tick(keeping.term)
    assert await keeping.left("ingest_jobs") == 3  # the log may have its records

    await keeping.trimmed(10)
    ticked = await keeping.role.tick(keeping.term)

    assert "1 jobs forgotten or given up" in ticked.outcome
    left = await hand.rows("SELECT job_id FROM ingest_jobs")
    assert {each[0] for each in left} == {kept.job_id, open_job.job_id}
    assert await hand.rows("SELECT erasure_id FROM erasures") == [(uuid.UUID(int=2),)]


async def test_old_rows_of_the_audit_and_tokens_that_ended_long_ago_go(keeping: Keeping) -> None:
    hand, act = keeping.hand, Act("local", "who", None, TENANT, "token.revoke")
    identities, tokens = Identities(keeping.pool), [uuid.uuid4() for _ in range(3)]
    for number, token_id in enumerate(tokens):
        new = NewToken(token_id, bytes([number]) * 32, "default", "", "user", [], None, None, "", "who", 60.0)
        await identities.create_token(new, act)
    await hand.rows(
        "UPDATE tokens SET expires_at = now() - u.ended FROM unnest($1::uuid[], $2::interval[]) AS u (token_id, ended)"
        " WHERE tokens.token_id = u.token_id RETURNING 1",
        tokens,
        [timedelta(days=401), timedelta(days=399), timedelta(days=-1)],
    )
    await hand.rows(
        "INSERT INTO audit (at, actor_kind, actor_id, action, target, outcome, reason, request_id, source, count)"
        " SELECT now() - interval '401 days', 'local', 'old', '', '', '', '', '', '', 1 FROM generate_series(1, 3)"
        " RETURNING 1"
    )

    assert "tokens, logins or rows of the audit forgotten" in (await keeping.role.tick(keeping.term)).outcome
    for _ in range(3):
        await keeping.role.tick(keeping.term)

    left = await hand.rows("SELECT token_id FROM tokens")
    assert {each[0] for each in left} == set(tokens[1:])
    assert await hand.rows("SELECT actor_id, count(*) FROM audit GROUP BY actor_id") == [("who", 3)]


async def test_an_upload_that_nobody_goes_on_with_is_given_up(keeping: Keeping) -> None:
    jobs, given_up, young = Jobs(keeping.pool), Job(), Job()
    for job in (given_up, young):
        await jobs.begin(job.new, IDENTITY.log_id)
    await keeping.hand.rows(
        "UPDATE ingest_jobs SET received_at = now() - interval '8 days' WHERE job_id = $1 RETURNING 1", given_up.job_id
    )

    await keeping.role.tick(keeping.term)

    rows = await keeping.hand.rows("SELECT job_id, state, code FROM ingest_jobs ORDER BY state")
    assert rows == [(given_up.job_id, "failed", "abandoned"), (young.job_id, "running", "")]

"""What the roles delete, and what they must not."""

import uuid
from datetime import timedelta

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.log import Entry, Identity
from argosy.logs.open import ensure, open_admin, open_reader, open_writer
from argosy.store import migrate
from argosy.store.lane_log import LaneLogs
from argosy.store.leader import LeaderSession
from argosy.store.maintenance import Lane, Maintenance
from argosy.store.pool import Pool
from tests.store.hand import LANE, LOG, PARTITION_COUNT, Change, Hand, New
from tests.store.test_flush import QUEUED, RUNNING, STARTED
from workers.maintenance.trim import Trim

MONTH_S = 30 * 86_400.0
LANE_LOG = Lane(LANE, "turns.default", LOG, PARTITION_COUNT)


async def term_of(dsn: str, role: str) -> int:
    session = await LeaderSession.open(dsn, role, 1.0)
    term = await session.take_term(uuid.uuid4(), "host", 1)
    session.close()
    return term


@pytest.fixture
async def retention(store_dsn: str, hand: Hand):
    pool = Pool(store_dsn, 2, 10.0)
    yield Maintenance(pool, "retention", await term_of(store_dsn, "retention"))
    await pool.close()


async def age(hand: Hand, days: float) -> None:
    """Everything that is there happened so many days ago; and the log was trimmed up to ten days ago."""
    await hand.rows(
        "UPDATE turns SET accepted_at = accepted_at - $1::interval, ended_at = ended_at - $1::interval RETURNING 1",
        timedelta(days=days),
    )


async def trimmed(hand: Hand, days_ago: float) -> None:
    at = timedelta(days=days_ago)
    await hand.rows("UPDATE positions SET trimmed_through = now() - $1::interval RETURNING 1", at)


async def left(hand: Hand, table: str) -> int:
    return int((await hand.rows(f"SELECT count(*) FROM {table}"))[0][0])  # noqa: S608


async def test_old_ended_turns_go_with_their_history_and_their_sessions(hand: Hand, retention: Maintenance) -> None:
    old, waiting = New("a"), New("b")
    await hand.accept(old, waiting)
    await hand.flush(Change(old, QUEUED, "running", events=STARTED), Change(waiting, QUEUED, "running", events=STARTED))
    await hand.flush(
        Change(old, RUNNING, "completed", events=[("turn.completed", "")], rows=[(uuid.uuid4(), "signal", "s", 0.0)])
    )
    await age(hand, 40)
    await trimmed(hand, 10)

    assert await retention.purge_turns(LANE_LOG, MONTH_S, 100) == 1

    assert await hand.rows("SELECT turn_id FROM turns") == [(waiting.turn_id,)]
    assert await hand.rows("SELECT DISTINCT turn_id FROM events") == [(waiting.turn_id,)]
    assert await left(hand, "inbox") == 0
    assert await hand.rows("SELECT name FROM sessions") == [("b",)]


@pytest.mark.parametrize(
    ("days_old", "trimmed_days_ago", "purged"),
    [(40, 10, 1), (20, 10, 0), (40, 50, 0)],
    ids=["old and trimmed", "too young", "its record is still in the log"],
)
async def test_a_turn_is_forgotten_when_it_is_old_and_its_record_is_gone(
    hand: Hand, retention: Maintenance, days_old: float, trimmed_days_ago: float, purged: int
) -> None:
    turn = New("a")
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "cancelled", events=[("turn.cancelled", "")]))
    await age(hand, days_old)
    await trimmed(hand, trimmed_days_ago)

    assert await retention.purge_turns(LANE_LOG, MONTH_S, 100) == purged


async def test_one_partition_that_was_not_trimmed_keeps_everything(hand: Hand, retention: Maintenance) -> None:
    turn = New("a")
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "cancelled", events=[("turn.cancelled", "")]))
    await age(hand, 40)
    await trimmed(hand, 10)
    await hand.rows("UPDATE positions SET trimmed_through = '-infinity' WHERE partition = 1 RETURNING 1")

    assert await retention.purge_turns(LANE_LOG, MONTH_S, 100) == 0


async def test_a_turn_stays_while_a_younger_duplicate_of_it_is_known(hand: Hand, retention: Maintenance) -> None:
    first, again = New("a", key="k"), New("a", key="k")
    await hand.accept(first)
    await hand.flush(Change(first, QUEUED, "cancelled", events=[("turn.cancelled", "")]))
    await age(hand, 40)
    await hand.accept(again)
    await trimmed(hand, 10)

    assert await retention.purge_turns(LANE_LOG, MONTH_S, 100) == 0

    await age(hand, 40)
    assert [await retention.purge_turns(LANE_LOG, MONTH_S, 100) for _ in range(3)] == [1, 1, 0]


async def test_turns_are_forgotten_in_batches(hand: Hand, retention: Maintenance) -> None:
    turns = [New(f"s{number}") for number in range(7)]
    await hand.accept(*turns)
    await hand.flush(*(Change(turn, QUEUED, "cancelled", events=[("turn.cancelled", "")]) for turn in turns))
    await age(hand, 40)
    await trimmed(hand, 10)

    assert [await retention.purge_turns(LANE_LOG, MONTH_S, 3) for _ in range(4)] == [3, 3, 1, 0]


@pytest.fixture(params=["kafka", "postgres"])
async def settings(request: pytest.FixtureRequest, database: str) -> Settings:
    environment = {
        "STATE_DB_URI": database,
        "KAFKA_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:10]}",
        "AGENT_TURNS_PARTITIONS": "2",
        "TRIM_LAG_S": "0",
    }
    if request.param == "kafka":
        environment["KAFKA_BOOTSTRAP_SERVERS"] = str(request.getfixturevalue("broker"))
    return config.load(environment)


async def test_what_was_accepted_long_enough_ago_is_deleted_from_the_log_and_nothing_else(settings: Settings) -> None:
    dsn = settings.state_db_uri
    await migrate.migrate(dsn)
    await ensure(settings, dsn)
    pool, clock = Pool(dsn, 2, 10.0), SystemClock()
    writer, reader = await open_writer(settings, dsn), open_reader(settings, dsn)
    await writer.append([Entry(partition, b"k", b"v") for partition in (0, 1) for _ in range(10)])
    identity: Identity = await reader.identity()
    await LaneLogs(pool, settings.lane).set(identity, settings.topic, None)
    hand = await Hand(dsn).open()
    await hand.rows(
        "INSERT INTO positions (log_id, partition, lane, position) VALUES ($1, 0, $2, 6), ($1, 1, $2, 0) RETURNING 1",
        identity.log_id,
        settings.lane,
    )
    trim = Trim(settings, dsn, pool, clock)
    term = await term_of(dsn, "trim")

    await trim.tick(term)  # marks
    outcome = await trim.tick(term)  # trims up to the mark

    spans = await reader.spans([0, 1])
    assert outcome == "1 lanes trimmed"
    assert [(span.begin, span.end) for span in spans.values()] == [(6, 10), (0, 10)]
    assert (await open_admin(settings, dsn).held()).records == 14
    assert (await hand.rows("SELECT count(*) FROM positions WHERE trimmed_through > now() - interval '1 minute'")) == [
        (2,)
    ]
    await hand.close()
    await writer.close()
    await pool.close()

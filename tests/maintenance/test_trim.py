"""What the role trim deletes from the log, and what it must not."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import OwnershipLostError
from argosy.ingest import job
from argosy.log import Entry, Fence, Identity, LogReader
from argosy.logs.open import ensure_topic, open_admin, open_reader, open_writer
from argosy.logs.topic import topic_of_lane
from argosy.store.lane_log import LaneLogs
from argosy.store.pool import Pool
from argosy.workers.maintenance.trim import Trim
from tests.maintenance.term import term_of
from tests.store.hand import LANE, Hand


class Trimming:
    """The role trim over a log with ten records in each of two partitions, six of them accepted in the first."""

    def __init__(self, settings: Settings, hand: Hand, pool: Pool, reader: LogReader, lane: str) -> None:
        self.settings = settings
        self.lane = lane
        self.topic = topic_of_lane(settings, lane)
        self.hand = hand
        self.pool = pool
        self.reader = reader

    async def open(self) -> None:
        dsn = self.settings.state_db_uri
        self.role = Trim(self.settings, dsn, self.pool, SystemClock(), share_s=5.0)
        self.term = await term_of(dsn, "trim")
        identity = await self.reader.identity()
        await LaneLogs(self.pool, self.lane).set(identity, self.topic.name, None)
        await self.hand.rows(
            "INSERT INTO positions (log_id, partition, lane, position)"
            " VALUES ($1, 0, $2, 6), ($1, 1, $2, 0) RETURNING 1",
            identity.log_id,
            self.lane,
        )

    async def spans(self) -> list[tuple[int, int]]:
        return [(span.begin, span.end) for span in (await self.reader.spans([0, 1])).values()]


@pytest.fixture(params=["kafka", "postgres"])
async def trimming(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Trimming]:
    environment = {
        "STATE_DB_URI": database,
        "KAFKA_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:10]}",
        "AGENT_TURNS_PARTITIONS": "2",
        "KG_TASKS_PARTITIONS": "2",
        "TRIM_LAG_S": "0",
    }
    backend, _, is_of_ingest = request.param.partition("-")
    if backend == "kafka":
        environment["KAFKA_BOOTSTRAP_SERVERS"] = str(request.getfixturevalue("broker"))
    settings, lane = config.load(environment), job.LANE if is_of_ingest else LANE
    topic = topic_of_lane(settings, lane)
    await ensure_topic(settings, database, topic)
    writer, reader = await open_writer(settings, database, topic), open_reader(settings, database, topic)
    await writer.append([Entry(partition, b"k", b"v") for partition in (0, 1) for _ in range(10)])
    pool, hand = Pool(database, 2, 10.0), await Hand(database).open()
    trimming = Trimming(settings, hand, pool, reader, lane)
    await trimming.open()
    yield trimming
    await hand.close()
    await pool.close()
    await writer.close()


@pytest.mark.parametrize("trimming", ["kafka", "postgres", "postgres-ingest"], indirect=True)
async def test_what_was_accepted_long_enough_ago_is_deleted_from_the_log_and_nothing_else(trimming: Trimming) -> None:
    ticked = await trimming.role.tick(trimming.term)

    assert ticked == ("1 lanes trimmed", False)
    assert await trimming.spans() == [(6, 10), (0, 10)]
    assert (await open_admin(trimming.settings, trimming.settings.state_db_uri, trimming.topic).held()).records == 14
    trimmed = await trimming.hand.rows(
        "SELECT count(*) FROM positions WHERE trimmed_through > now() - interval '1 min'"
    )
    assert trimmed == [(2,)]


async def test_what_was_accepted_lately_stays_and_marks_have_a_bound(trimming: Trimming) -> None:
    settings = trimming.settings.model_copy(update={"trim_lag_s": 2_400.0})
    role = Trim(settings, settings.state_db_uri, trimming.pool, SystemClock(), share_s=5.0)
    for _ in range(40):
        await role.tick(trimming.term)
        await trimming.hand.rows("UPDATE position_marks SET at = at - interval '101 seconds' RETURNING 1")
        if await trimming.spans() != [(0, 10), (0, 10)]:
            break

    ages = await trimming.hand.rows(
        "SELECT count(DISTINCT at), extract(epoch FROM now() - min(at)) FROM position_marks"
    )
    assert await trimming.spans() == [(6, 10), (0, 10)]
    assert 20 <= ages[0][0] <= 26
    assert ages[0][1] > 2_400


async def test_a_topic_that_was_made_again_is_not_trimmed_by_the_marks_of_the_old_one(trimming: Trimming) -> None:
    """Also while no worker has seen it: nothing in it was ever accepted."""
    other = Identity("cluster", str(uuid.uuid4()), 2)
    await LaneLogs(trimming.pool, trimming.lane).set(other, trimming.topic.name, "words")
    await trimming.hand.rows("UPDATE positions SET log_id = $1 RETURNING 1", other.log_id)

    ticked = await trimming.role.tick(trimming.term)

    assert "another log" in ticked.outcome
    assert await trimming.spans() == [(0, 10), (0, 10)]


async def test_a_log_that_was_cut_back_is_not_trimmed_by_what_was_marked_before(trimming: Trimming) -> None:
    settings = trimming.settings.model_copy(update={"trim_lag_s": 2_400.0})
    role = Trim(settings, settings.state_db_uri, trimming.pool, SystemClock(), share_s=5.0)
    await role.tick(trimming.term)
    await trimming.hand.rows("UPDATE position_marks SET at = at - interval '1 hour' RETURNING 1")
    await trimming.hand.rows("UPDATE positions SET position = 2 WHERE partition = 0 RETURNING 1")

    await role.tick(trimming.term)

    assert await trimming.spans() == [(0, 10), (0, 10)]


async def test_a_leader_that_comes_late_trims_the_topic_that_it_looked_at_and_none_of_that_name(
    trimming: Trimming,
) -> None:
    admin = open_admin(trimming.settings, trimming.settings.state_db_uri, trimming.topic)
    identity = await trimming.reader.identity()

    assert await admin.trim(0, 6, Fence("trim", trimming.term, str(uuid.uuid4())))
    assert await trimming.spans() == [(0, 10), (0, 10)]

    assert await admin.trim(0, 6, Fence("trim", trimming.term, identity.topic_id))
    assert await trimming.spans() == [(6, 10), (0, 10)]
    await admin.close()


@pytest.mark.parametrize("trimming", ["postgres"], indirect=True)
async def test_a_deposed_leader_trims_nothing_of_the_postgres_log(trimming: Trimming) -> None:
    dsn = trimming.settings.state_db_uri
    identity = await trimming.reader.identity()
    await term_of(dsn, "trim")

    admin = open_admin(trimming.settings, dsn, trimming.topic)
    with pytest.raises(OwnershipLostError):
        await admin.trim(0, 6, Fence("trim", trimming.term, identity.topic_id))
    with pytest.raises(OwnershipLostError):
        await trimming.role.tick(trimming.term)

    assert await trimming.spans() == [(0, 10), (0, 10)]
    await admin.close()

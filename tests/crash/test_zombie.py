"""A worker that stops, or dies with a write under way, and what it says when it wakes up (F11, F12)."""

import asyncio
import time

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS, KAFKA_FIRST
from tests.harness.owners import owned_turns, owners, sessions_over, until_settled, until_shared
from tests.harness.processes import Managed, stopped

PARTITIONS = 8
_SOON_SILENT = {"HEARTBEAT_INTERVAL_S": "0.3", "HEARTBEAT_TTL_S": "1.5"}
_SLOW = "the slow one"
_SLEEP_S = 4  # from before a stop until its end
# The first flush that writes these words takes its time; every other one does not.
_SLOW_FLUSH = f"""
CREATE SEQUENCE argosy.slow_flushes;
CREATE FUNCTION argosy.slow_flush() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF position('{_SLOW}' IN convert_from(NEW.data, 'UTF8')) > 0 AND nextval('argosy.slow_flushes') = 1 THEN
    PERFORM pg_sleep({{seconds}});
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER slow_flush BEFORE INSERT ON argosy.events FOR EACH ROW EXECUTE FUNCTION argosy.slow_flush();
"""
# The first flush that suspends a turn takes its time.
_SLOW_SUSPEND = _SLOW_FLUSH.replace(
    f"position('{_SLOW}' IN convert_from(NEW.data, 'UTF8')) > 0", "NEW.type = 'turn.suspended'"
)
_IS_SLEEPING = (
    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"
)


async def _until_in_flush(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(10):
        while not await connection.fetchval(_IS_SLEEPING):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _owner_and_heir(
    client: Client, postgres: asyncpg.Connection, workers: list[Managed]
) -> tuple[Managed, Managed]:
    """Of the one partition, which stays where it is."""
    await until_settled(postgres, workers)
    pid = (await owners(client))[0]
    first, second = workers
    return (first, second) if first.pid == pid else (second, first)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.scenario("F12 commit in flight at a takeover", "the takeover waits for it, and it counts")
async def test_a_takeover_waits_for_the_commit_that_a_stopped_owner_left_in_flight(
    idle_fleet: Fleet, client: Client
) -> None:
    workers = idle_fleet.start(2)
    postgres = await asyncpg.connect(idle_fleet.environment["STATE_DB_URI"])
    await postgres.execute(_SLOW_FLUSH.format(seconds=3))  # the claim comes after 1.5 s, and waits for 2
    owner, _ = await _owner_and_heir(client, postgres, workers)

    turn = await client.post("session", "says", effects=1, text=_SLOW)
    await _until_in_flush(postgres)
    with stopped(owner):
        after = await client.post("session", "steps", effects=1)
        await client.until_status([turn, after])

    await postgres.close()
    await client.judge(disruptions=1, repeatable=[])


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1])
@pytest.mark.scenario("F12 owner killed inside its flush", "the commit counts or is undone, never both")
async def test_a_commit_that_a_dead_owner_left_in_flight_counts_or_is_undone(idle_fleet: Fleet, client: Client) -> None:
    workers = idle_fleet.start(2)
    postgres = await asyncpg.connect(idle_fleet.environment["STATE_DB_URI"])
    await postgres.execute(_SLOW_FLUSH.format(seconds=1))  # a backend looks every second whether its client is there
    owner, _ = await _owner_and_heir(client, postgres, workers)

    turn = await client.post("session", "says", effects=1, text=_SLOW)
    await _until_in_flush(postgres)
    owner.kill()
    after = await client.post("session", "steps", effects=1)

    await client.until_status([turn, after])
    await postgres.close()
    await client.judge(disruptions=1, repeatable=[turn])


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.scenario("F12 owner stopped inside its flush", "its backend is ended, takeover within 10 s, one ending")
async def test_an_owner_that_stops_inside_its_flush_is_ended_and_taken_over(idle_fleet: Fleet, client: Client) -> None:
    workers = idle_fleet.start(2)
    postgres = await asyncpg.connect(idle_fleet.environment["STATE_DB_URI"])
    await postgres.execute(_SLOW_FLUSH.format(seconds=60))
    owner, _ = await _owner_and_heir(client, postgres, workers)

    turn = await client.post("session", "says", effects=1, text=_SLOW)
    await _until_in_flush(postgres)
    with stopped(owner):
        stopped_s = time.monotonic()
        after = await client.post("session", "steps", effects=1)
        await client.until_status([turn, after])
        took_s = time.monotonic() - stopped_s
    later = await client.post("session", "steps", effects=1)

    await client.until_status([later])
    await postgres.close()
    assert took_s < 10
    await client.judge(disruptions=1, repeatable=[turn])


@KAFKA_FIRST
@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.parametrize("stopped_for_s", [3, pytest.param(90, marks=pytest.mark.slow)])
@pytest.mark.scenario(
    "F11 worker stopped in a step", "its turns go on elsewhere; step, end and timers of the zombie refused"
)
async def test_what_a_worker_says_after_it_was_stopped_is_not_taken(
    stopped_for_s: float, idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    zombie, _ = workers = idle_fleet.start(2)
    await until_shared(client, workers, PARTITIONS)
    sessions = sessions_over(PARTITIONS, each=2)
    turns = list(await asyncio.gather(*(client.post(name, "holds", effects=3, until=latch.path) for name in sessions)))
    asleep = [await client.post(f"{name}-asleep", "sleeps", effects=2, sleep_s=_SLEEP_S) for name in sessions]
    await until_reached(client.sink, turns, times=2)
    # No step of these is in flight at the stop, and none may be repeated.
    await client.until_status(asleep, {"suspended"}, within_s=_SLEEP_S)
    hit = await owned_turns(client, zombie, turns, PARTITIONS)

    with stopped(zombie):
        stopped_s = time.monotonic()
        await until_reached(client.sink, hit, times=3)
        latch.release()
        await client.until_status([*turns, *asleep])
        await asyncio.sleep(stopped_for_s - (time.monotonic() - stopped_s))
    after = [await client.post(name, "steps", effects=1) for name in sessions]

    await client.until_status(after)
    history = await client.judge(disruptions=1, repeatable=hit)
    assert {read.events[-1].attempt for read in history.reads.values() if read.turn_id in hit} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1])
@pytest.mark.scenario(
    "hand-over of a turn that was just suspended", "its signal and its timer wake it at the new owner"
)
async def test_a_turn_that_its_owner_did_not_see_suspended_is_woken_at_the_next_one(
    idle_fleet: Fleet, client: Client
) -> None:
    """The owner stops between the commit of a suspension and its answer, and lives on: what it says comes late."""
    workers = idle_fleet.start(2)
    postgres = await asyncpg.connect(idle_fleet.environment["STATE_DB_URI"])
    await postgres.execute(_SLOW_SUSPEND.format(seconds=1.5))  # longer than the posts take
    owner, _ = await _owner_and_heir(client, postgres, workers)

    turns = [await client.post(f"session-{number}", "waits", effects=2) for number in range(10)]
    turns += [await client.post(f"asleep-{number}", "sleeps", effects=2, sleep_s=1) for number in range(10)]
    await _until_in_flush(postgres)
    with stopped(owner):
        for turn in turns[:10]:
            await client.signal(turn, "go", None)
        await asyncio.sleep(4)  # the log has given the partition to the other one, which waits for a note

    await client.until_status(turns)
    await postgres.close()
    await client.judge(disruptions=1)

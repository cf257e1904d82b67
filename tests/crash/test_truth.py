"""Postgres makes trouble while a worker writes: connections break (F18), flushes fail and rows are refused (F21)."""

import asyncio

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_FIRST

_CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@KAFKA_FIRST
async def test_connections_cut_at_any_moment_repeat_no_step_and_lose_no_turn(fleet: Fleet, client: Client) -> None:
    fleet.worker()
    cutter = await asyncpg.connect(fleet.environment["STATE_DB_URI"])

    async def converse(number: int) -> list[str]:
        return [await client.post(f"session-{number}", "steps", effects=2, n=2) for _ in range(15)]

    posting = asyncio.gather(*map(converse, range(20)))
    for _ in range(8):
        await asyncio.sleep(0.15)
        await cutter.execute(_CUT)
    turns = [turn for conversation in await posting for turn in conversation]

    await client.until_status(turns)
    await cutter.close()
    await client.judge(disruptions=0)


_TROUBLE = """
CREATE SEQUENCE argosy.trouble;
CREATE FUNCTION argosy.make_trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('argosy.trouble') IN (3, 5, 8, 13, 14, 15) THEN
    RAISE EXCEPTION 'as if another transaction had won' USING ERRCODE = CASE currval('argosy.trouble') % 2
      WHEN 0 THEN 'serialization_failure' ELSE 'deadlock_detected' END;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER trouble AFTER INSERT ON argosy.events FOR EACH STATEMENT EXECUTE FUNCTION argosy.make_trouble();
"""
_REFUSAL = """
CREATE FUNCTION argosy.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF position('the unwritable one' IN convert_from(NEW.data, 'UTF8')) > 0 THEN
    RAISE EXCEPTION 'this row cannot be written' USING ERRCODE = 'data_exception';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER refusal BEFORE INSERT ON argosy.events FOR EACH ROW EXECUTE FUNCTION argosy.refuse();
"""


async def _execute(fleet: Fleet, statements: str) -> None:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    await connection.execute(statements)
    await connection.close()


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_flushes_that_fail_for_a_moment_are_sent_again_and_repeat_no_step(fleet: Fleet, client: Client) -> None:
    """F21, first half."""
    await _execute(fleet, _TROUBLE)
    fleet.worker()

    async def converse(number: int) -> list[str]:
        return [await client.post(f"session-{number}", "steps", effects=2, n=2) for _ in range(5)]

    turns = [turn for done in await asyncio.gather(*map(converse, range(10))) for turn in done]

    await client.until_status(turns)
    await client.judge(disruptions=0)


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_a_row_that_postgres_refuses_parks_its_turn_and_the_others_of_its_flush_are_written(
    fleet: Fleet, client: Client
) -> None:
    """F21, second half."""
    await _execute(fleet, _REFUSAL)
    fleet.worker()

    poison = await client.post_once("poisoned", {"workflow": "echo", "input": {"text": "the unwritable one"}})
    turns = await asyncio.gather(*(client.post(f"session-{n}", "steps", effects=2, n=2) for n in range(30)))

    parked = await client.until_status([poison.turn_id or ""], {"parked"})
    await client.until_status(turns)
    assert [turn["reason"] for turn in parked.values()] == ["unwritable"]
    await client.judge(waiting=[poison.turn_id or ""])

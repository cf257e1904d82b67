"""Postgres goes away under a running worker and comes back: what probes and people are told meanwhile."""

import asyncio
import re
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.fleet import Fleet
from tests.harness.processes import Managed
from tests.harness.tcp_proxy import PostgresProxy

AWAY_S = 4.0


def readiness(process: Managed) -> tuple[int, str]:
    """Status and body of /readyz; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(process.ready_url, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""  # it is not there yet


async def answers(process: Managed, status: int) -> str:
    """The body of the first answer with that status."""
    async with asyncio.timeout(20):
        while True:
            found, body = await asyncio.to_thread(readiness, process)
            if found == status:
                return body
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_worker_without_postgres_is_not_ready_says_so_now_and_then_and_says_when_it_is_back(
    database: str, tmp_path: Path
) -> None:
    proxy = PostgresProxy(database)
    await proxy.allow()
    fleet = Fleet(tmp_path / "fleet", database, "")
    try:
        fleet.prepare()
        worker = fleet.begin_worker(STATE_DB_URI=proxy.dsn, HEARTBEAT_INTERVAL_S="0.3")
        await answers(worker, 200)
        await proxy.refuse()
        away = await answers(worker, 503)
        await asyncio.sleep(AWAY_S)  # for as long as it is away: what is said meanwhile is counted
        await proxy.allow()
        back = await answers(worker, 200)
    finally:
        fleet.stop()
        await proxy.close()

    assert ('"store":"unavailable"' in away, '"store":"ok"' in back) == (True, True)
    said = Counter(
        re.findall(
            r"\b(store\.unavailable|heartbeat\.failed|log\.unavailable|store\.reconnected)", worker.log.read_text()
        )
    )
    assert said["store.reconnected"] == 1
    assert 1 <= said["heartbeat.failed"] <= 3
    assert said["store.unavailable"] <= 3
    assert said["log.unavailable"] <= 3

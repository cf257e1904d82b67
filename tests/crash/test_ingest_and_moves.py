"""Ingest goes on while the graphs that it writes to move between shards."""

import asyncio
import random
from pathlib import Path

import pytest

from argosy.graph.facts import GraphName
from argosy.store.move import MoveState
from tests.crash.test_ingest import GRAPHS, WITHIN_S, all_is_there_once, lines_of, sent_until_taken
from tests.harness.fleet import Fleet
from tests.ingest.conftest import SECRET
from tests.ingest.hand import TENANT, GatewayHand
from tests.moves.moving import Moving, opened

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["postgres"])]

LINES = 40_000
MOVES_MIN = 8  # of a load that goes on until so many have ended


@pytest.fixture
def settings() -> dict[str, str]:
    return {
        "GRAPH_SERVICE_AUTH_SECRET": SECRET,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "1",
        "ALLOW_TENANT_HEADER": "true",
    }


@pytest.mark.scenario("F44 ingest while graphs move", "each line once, rejects listed once")
async def test_uploads_into_graphs_that_move_are_there_once(idle_fleet: Fleet, tmp_path: Path) -> None:
    async with opened(idle_fleet, tmp_path) as moving, asyncio.TaskGroup() as group:
        await moving.seed("one", "two")
        moving.maintain()
        for each in GRAPHS:
            await moving.graphs.create(TENANT, each)
        await asyncio.to_thread(idle_fleet.gateway)
        await asyncio.to_thread(idle_fleet.ingest_worker)
        shuffling = group.create_task(shuffle(moving))

        async with GatewayHand.of(idle_fleet) as hand:
            lines, rounds = lines_of(LINES), 0
            while await ended(moving) < MOVES_MIN:
                rounds += 1
                assert rounds < 20
                sent = await asyncio.gather(
                    *(sent_until_taken(idle_fleet, each, b"\n".join(lines), key=f"round-{rounds}") for each in GRAPHS)
                )
                jobs = dict(zip(GRAPHS, sent, strict=True))
                await all_is_there_once(hand, jobs, lines)
            shuffling.cancel()
            await moving.until_settled(WITHIN_S)

            await all_is_there_once(hand, jobs, lines)


async def shuffle(moving: Moving) -> None:
    """Have graphs moved to and fro, at random, until cancelled."""
    chance = random.Random(3)
    members = [each.member_id for each in await moving.directory.shards()]
    while True:
        await moving.changes.move(GraphName(TENANT, chance.choice(GRAPHS)), chance.choice(members))
        await asyncio.sleep(0.1)


async def ended(moving: Moving) -> int:
    return sum(each.state is MoveState.DONE for each in await moving.moves())

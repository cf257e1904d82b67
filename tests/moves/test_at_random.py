"""Graphs move while they are written to and read, leaders are killed and deposed, and shards fail, at random: every
acknowledged write is there once, no read is old, and in the end each graph is where its row says, and nowhere else.
"""

import asyncio
import random
from typing import Final

import pytest

from argosy.clock import SystemClock
from argosy.errors import ArgosyError, OwnershipLostError
from argosy.graph.facts import GraphState, WriteKey
from argosy.graph.graphs import Graphs
from argosy.graph.ops import UpsertNode
from tests.graph.memory_shards import Fault
from tests.moves.conftest import Fleet, Led

NAMES: Final = ("Acme/Corp", "tickets", "日本")  # each belongs on a shard of its own
METHODS: Final = (
    *("copy", "copy_tail", "receive", "land", "set_state", "activate", "drop", "abandon", "release_copy"),
    *("apply", "get_nodes"),
)


class Written:
    """What the one writer of a graph knows. begun, acknowledged: its writes."""

    def __init__(self) -> None:
        self.begun = 0
        self.acknowledged = 0


async def write(graphs: Graphs, name: str, written: Written) -> None:
    """One write, until it is acknowledged; write n is version n, or one was lost or applied twice."""
    written.begun += 1
    number = written.begun
    while True:
        try:
            node = UpsertNode(id=f"{number:06}", label="N")
            applied = await graphs.of("acme", name).apply([node], key=WriteKey(f"{name}-{number}", 0), deadline_s=2)
        except ArgosyError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(0.01)
        else:
            assert applied.version == number
            written.acknowledged = number
            return


async def read(graphs: Graphs, name: str, written: Written) -> None:
    """What was acknowledged before a read began, it sees."""
    ids = [f"{number:06}" for number in range(1, written.acknowledged + 1)]
    try:
        assert None not in await graphs.of("acme", name).get_nodes(ids, deadline_s=1)
    except ArgosyError as error:
        if not error.retryable:
            raise


async def lead(fleet: Fleet, chance: random.Random, until: asyncio.Event) -> None:
    """Leaders that are killed, or deposed without knowing it, wherever they are."""
    deposed: list[asyncio.Task[None]] = []
    while not until.is_set():
        leader = await fleet.leader()
        for _ in range(chance.randrange(1, 4)):
            await ask_for_moves(fleet, chance)
            await fleet.make_due()
            task = asyncio.create_task(ticked(leader))
            await asyncio.wait({task}, timeout=chance.choice((0.005, 0.02, 0.1, 0.5)))
            deposed.append(task)
        if chance.random() < 0.5:
            deposed[-1].cancel()
            await leader.role.close()
    for task in deposed:
        task.cancel()
    await asyncio.gather(*deposed, return_exceptions=True)


async def ticked(leader: Led) -> None:
    try:
        await leader.tick()
    except OwnershipLostError:
        return


async def ask_for_moves(fleet: Fleet, chance: random.Random) -> None:
    for name in NAMES:
        row = await fleet.directory.find("acme", name)
        if row is not None and chance.random() < 0.7:
            await fleet.changes.move(row.ref[:2], chance.choice(fleet.shards.members).member_id)  # type: ignore[arg-type]


async def break_things(fleet: Fleet, chance: random.Random, until: asyncio.Event) -> None:
    while not until.is_set():
        fleet.shards.faults.append(Fault(chance.choice(METHODS), is_after=chance.random() < 0.5))
        if chance.random() < 0.1:
            fleet.shards.kill(chance.choice(("one", "two", "three")))
            await asyncio.sleep(chance.choice((0.01, 0.1, 0.6)))
            fleet.shards.down.clear()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", [0, *(pytest.param(each, marks=pytest.mark.slow) for each in range(1, 12))])
async def test_no_write_is_lost_and_each_graph_is_in_one_place(fleet: Fleet, seed: int) -> None:
    chance, until = random.Random(seed), asyncio.Event()
    written = {name: Written() for name in NAMES}
    gateways = [await fleet.gateway() for _ in range(2)]
    for name in NAMES:
        await gateways[0].create("acme", name)

    async def use(name: str) -> None:
        for _ in range(40):
            await write(chance.choice(gateways), name, written[name])
            await read(chance.choice(gateways), name, written[name])

    around = [asyncio.create_task(lead(fleet, chance, until)), asyncio.create_task(break_things(fleet, chance, until))]
    await asyncio.gather(*map(use, NAMES))
    until.set()
    await asyncio.gather(*around)

    fleet.shards.faults.clear()
    fleet.shards.down.clear()
    leader = await fleet.leader()
    began_s = SystemClock().monotonic_s()
    while [each for each in await fleet.moves() if each.ended_at is None]:
        assert SystemClock().monotonic_s() - began_s < 30
        await fleet.make_due()
        await leader.tick()
    assert {each.state.value for each in await fleet.moves()} <= {"done", "aborted"}
    for name in NAMES:
        row = await fleet.directory.find("acme", name)
        assert row is not None
        (file,) = fleet.shards.files_of("acme", name)
        assert (file.ref, file.state) == (row.ref, GraphState.ACTIVE)
        assert list(fleet.files(row)) == [fleet.shards.endpoint_of(row.shard)]
        assert sorted(file.nodes) == [f"{number:06}" for number in range(1, written[name].begun + 1)]
    last = await (await fleet.gateway()).find("acme", NAMES[0])
    await fleet.ask_move(last, next(each for each in fleet.shards.folders if each not in fleet.files(last)))
    await fleet.settle(leader)
    assert "done" in await fleet.states()

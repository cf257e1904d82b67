"""The page of shards: which there are, whether they answer, and which graphs move, as an operator watches it."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import httpx2
import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.graph.facts import NOBODY, GraphName, Member
from argosy.graph.transports.connect import GrpcConnect
from argosy.secret import load_keys
from argosy.store.graph import Directory, GraphRowState, NewGraph
from argosy.store.move import Move, Moves, MoveState
from argosy.store.pool import Pool
from argosy.store.shards import ShardChanges
from tests.console.browser import Console
from tests.console.test_console import MARKUP
from tests.gateway.graph_shard import forget_shards
from tests.harness.fleet import Fleet
from tests.harness.processes import free_port
from tests.maintenance.term import term_of
from tests.moves.moving import closing_transport, identified
from tests.shards.processes import ShardProcess

T = TypeVar("T")

ROLE: Final = "rebalance"
TENANT: Final = "default"
SIZE_BYTES: Final = 8_000_000
WHY: Final = f"ShardSilentError: not in time {MARKUP}"


class Placed:
    """A shard that runs and has two graphs, one that nobody has started, and one that is drained. What a leader would
    do to the rows of moves, a test does.
    """

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self._dsn = fleet.environment["STATE_DB_URI"]
        secret = fleet.environment["GRAPH_SERVICE_AUTH_SECRET"]
        self.process = ShardProcess(folder, GRAPH_SERVICE_AUTH_SECRET=secret)
        self.process.start()
        self.there = Member(asyncio.run(self._identified(folder, secret)), self.process.endpoint)
        self.away = Member(uuid.uuid4(), f"127.0.0.1:{free_port()}")
        self.drained = Member(uuid.uuid4(), f"127.0.0.1:{free_port()}")
        self.term = asyncio.run(term_of(self._dsn, ROLE))
        self.do(self._seed)

    def do(self, work: Callable[[Pool], Awaitable[T]]) -> T:
        async def done() -> T:
            pool = Pool(self._dsn, 2, 30.0)
            try:
                return await work(pool)
            finally:
                await pool.close()

        return asyncio.run(done())

    def as_leader(self, work: Callable[[Moves, Move], Awaitable[T]]) -> T:
        """Change the only open move."""

        async def changed(pool: Pool) -> T:
            moves = Moves(pool, ROLE, self.term)
            (move,) = await moves.due([], 2)
            return await work(moves, move)

        return self.do(changed)

    def close(self) -> None:
        self.do(self._forget)
        self.process.bury()

    async def _identified(self, folder: Path, secret: str) -> uuid.UUID:
        connect = GrpcConnect(load_keys(secret, folder).shards, SystemClock(), config.load({}))
        async with closing_transport(connect.to(Member(NOBODY, self.process.endpoint))) as transport:
            return await identified(transport)

    async def _forget(self, pool: Pool) -> None:
        for table in ("graph_moves", "shard_plans"):
            await pool.execute(f"DELETE FROM {table}")  # noqa: S608 (its own tables)
        await forget_shards(self._dsn)

    async def _seed(self, pool: Pool) -> None:
        await self._forget(pool)
        directory = Directory(pool)
        await directory.seed([self.there, self.away, self.drained])
        for name in ("crm", "docs"):
            row = await directory.add(
                NewGraph(TENANT, name, uuid.uuid4(), self.there.member_id, GraphRowState.CREATING, None, None)
            )
            assert row is not None
            await directory.activate(row)
        await ShardChanges(pool).drain(self.drained.member_id)
        await pool.execute("DELETE FROM shard_plans")  # nothing was there to move


@pytest.fixture
def placed(fleet: Fleet, tmp_path: Path) -> Iterator[Placed]:
    placed = Placed(fleet, tmp_path / "shard")
    try:
        yield placed
    finally:
        placed.close()


def rows(console: Console, title: str) -> list[list[str]]:
    """What stands in the cells of a table."""
    found: list[list[str]] = console.browser.run(
        """
        const parts = [...document.querySelectorAll(".operations section")];
        const wanted = parts.filter((part) => part.querySelector("h2").textContent === given[0]);
        return wanted.flatMap((part) => [...part.querySelectorAll("tbody tr")])
            .map((row) => [...row.children].map((cell) => cell.textContent));
        """,
        title,
    )
    return found


def shards(console: Console) -> dict[str, list[str]]:
    """The rows of shards, without their endpoints, by these."""
    return {endpoint: cells for endpoint, *cells in rows(console, "Shards")}


def until_looked_at(http: httpx2.Client) -> None:
    """The gateway has asked each of its shards."""
    until_s = time.monotonic() + 30
    while {each["is_up"] for each in http.get("/v1/fleet/shards").json()["shards"]} != {True, False}:
        assert time.monotonic() < until_s
        time.sleep(0.1)


def test_shards_are_shown_with_what_they_have_and_whether_they_answer(
    console: Console, http: httpx2.Client, placed: Placed
) -> None:
    until_looked_at(http)

    console.open("#/shards")
    console.browser.until_text(placed.there.endpoint, ".operations")

    seen = shards(console)
    assert seen[placed.there.endpoint] == ["active", "2", "0", "0", "yes", ""]
    *away, why = seen[placed.away.endpoint]
    assert away == ["active", "0", "0", "0", "no"]
    assert why.startswith("ShardUnavailableError: ")
    assert seen[placed.drained.endpoint][:5] == ["draining", "0", "0", "0", "no"]
    assert console.browser.text("h1") == "Shards"


@pytest.mark.slow
def test_a_move_is_watched_to_its_end(console: Console, http: httpx2.Client, placed: Placed) -> None:
    browser = console.browser
    until_looked_at(http)
    placed.do(lambda pool: ShardChanges(pool).move(GraphName(TENANT, "crm"), placed.away.member_id))
    console.open("#/shards")
    browser.until_text(f"{TENANT} / crm", ".operations")

    def moves() -> list[list[str]]:
        """Without when they were planned or ended."""
        return [cells[:-1] for cells in rows(console, "Moves")]

    def counts() -> list[list[str]]:
        """Of the shard where the graph is, and of that to which it goes: graphs, coming, going."""
        return [shards(console)[each.endpoint][1:4] for each in (placed.there, placed.away)]

    about = [f"{TENANT} / crm", placed.there.endpoint, placed.away.endpoint]
    assert moves() == [[*about, "planned", "", ""]]
    assert counts() == [["2", "0", "1"], ["0", "1", "0"]]

    async def copying(leader: Moves, move: Move) -> None:
        assert await leader.step(move, MoveState.COPYING)
        assert await leader.note_copied(move, SIZE_BYTES // 4, SIZE_BYTES)

    placed.as_leader(copying)
    browser.until_text("25 % of 8.0 MB", ".operations")
    assert moves() == [[*about, "copying", "25 % of 8.0 MB", ""]]

    async def waiting(leader: Moves, move: Move) -> None:
        assert await leader.note_copied(move, SIZE_BYTES * 3 // 4, SIZE_BYTES)
        await leader.put_off(move, 0.0, WHY)

    placed.as_leader(waiting)
    browser.until_text("75 % of 8.0 MB", ".operations")
    assert moves() == [[*about, "copying", "75 % of 8.0 MB", WHY]]
    assert shards(console)[placed.there.endpoint][-1] == WHY, "beside its shard, which answers"
    assert browser.run("return window.owned") is None

    placed.as_leader(_to_its_end)
    browser.until_text("done", ".operations")
    assert moves() == [[*about, "done", "75 % of 8.0 MB", ""]]
    assert counts() == [["1", "0", "0"], ["1", "0", "0"]]


async def _to_its_end(leader: Moves, move: Move) -> None:
    for state in (MoveState.SEALED, MoveState.LANDED, MoveState.RETIRED):
        assert await leader.step(move, state)
        move = move._replace(state=state)
    assert await leader.switch(move)
    move = move._replace(state=MoveState.SWITCHED)
    for state in (MoveState.ACTIVATED, MoveState.DONE):
        assert await leader.step(move, state)
        move = move._replace(state=state)


def test_a_plan_that_cannot_go_on_says_why(console: Console, placed: Placed) -> None:
    browser = console.browser

    async def blocked(pool: Pool) -> None:
        await ShardChanges(pool).drain(placed.there.member_id)
        moves = Moves(pool, ROLE, placed.term)
        (plan,) = await moves.due_plans()
        await moves.block(plan, "no shard takes graphs: all of them drain", 60.0)

    placed.do(blocked)
    console.open("#/shards")
    browser.until_text("all of them drain", ".operations")

    ((plan, state, planned, still_open, _, why),) = rows(console, "Plans")
    assert (plan, state, planned, still_open) == (f"drain {placed.there.endpoint}", "planning", "0", "0")
    assert why == "no shard takes graphs: all of them drain"


def test_shards_fit_a_narrow_screen(console: Console, placed: Placed) -> None:
    browser = console.browser
    browser.resize(400, 800)

    console.open("#/shards")
    browser.until_text(placed.there.endpoint, ".operations")

    assert browser.run("return document.documentElement.scrollWidth") <= 400

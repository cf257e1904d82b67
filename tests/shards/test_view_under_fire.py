"""What a query does to its view it does to nothing else: no file is read, others are answered, and it ends in time."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from argosy.errors import CypherError, GraphDeadlineError, GraphTooLargeError, ViewLostError
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.shards.views.kglite import KgliteView
from tests.shards.views import ENDLESS, LIMITS, Model, ask, value, view_of

ROOT: Final = Path(__file__).parents[2]
DENSE: Final = 30
STOPPED: Final = (GraphDeadlineError, GraphTooLargeError, ViewLostError, CypherError)


def dense() -> list[Op]:
    nodes = [UpsertNode(f"n{i}", "N", {"x": i}) for i in range(DENSE)]
    return [*nodes, *(UpsertEdge(f"n{i}", "K", f"n{j}") for i in range(DENSE) for j in range(DENSE))]


@pytest.fixture
async def view() -> AsyncIterator[KgliteView]:
    async with view_of(dense()) as view:
        yield view


@pytest.mark.parametrize(
    "cypher",
    [
        "WITH 'aaaaaaaa' AS s RETURN size(reduce(x = s, i IN range(1, 60) | x + x))",
        ENDLESS,
        "MATCH (a), (b), (c), (d), (e), (f) RETURN count(*)",
        "MATCH (a), (b), (c), (d), (e) RETURN a, b, c, d, e",
        "MATCH (a)-[:K*]->(b) RETURN count(*)",
        "UNWIND range(1, 1000000000000) AS x RETURN collect(x)",
    ],
)
async def test_a_query_that_asks_too_much_is_stopped_and_one_beside_it_is_answered(cypher: str) -> None:
    async with view_of(dense()) as view, view_of([UpsertNode("1", "N")]) as other:
        began_at = time.monotonic()
        hostile = asyncio.ensure_future(ask(view, cypher, timeout_s=0.5))
        beside = [await value(other, "MATCH (n) RETURN count(n)") for _ in range(20)]
        with pytest.raises(STOPPED):
            await hostile
        took_s = time.monotonic() - began_at

        assert beside == [1] * 20
        assert took_s < 3  # on a machine that has much else to do
        assert await counted_again(view) == DENSE


async def counted_again(view: KgliteView) -> object:
    """Ask a view that may be lost, or loses itself only now to the query before, which goes on for a moment."""
    for _ in range(2):
        if view.is_lost:
            await view.build(1, Model(dense()).facts())
        with contextlib.suppress(ViewLostError):
            return await value(view, "MATCH (n) RETURN count(n)")
    return None


async def test_a_slow_query_does_not_hold_up_those_beside_it_on_the_same_graph(view: KgliteView) -> None:
    slow = asyncio.ensure_future(ask(view, ENDLESS, timeout_s=1.5))
    await asyncio.sleep(0)

    beside = [await value(view, "MATCH (n) RETURN count(n)") for _ in range(5)]
    await view.apply([UpsertNode("new", "N")], 2)
    after = await value(view, "MATCH (n) RETURN count(n)")

    assert not slow.done()
    assert (beside, after) == ([DENSE] * 5, DENSE + 1)
    with pytest.raises(STOPPED):
        await slow


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
async def test_a_query_that_runs_long_yields_to_all_others(view: KgliteView) -> None:
    slow = asyncio.ensure_future(ask(view, ENDLESS, timeout_s=1.5))

    def lowest() -> int:
        return max(os.getpriority(os.PRIO_PROCESS, thread.id) for thread in psutil.Process(view.pid).threads())

    while lowest() < 19:
        done, _ = await asyncio.wait({slow}, timeout=0.01)
        assert not done
    assert await value(view, "MATCH (n) RETURN count(n)") == DENSE
    with pytest.raises(STOPPED):
        await slow


async def test_a_query_ends_softly_before_its_deadline_so_that_the_view_need_not(view: KgliteView) -> None:
    with pytest.raises(GraphDeadlineError):
        await ask(view, ENDLESS, timeout_s=1.0)

    assert not view.is_lost


_CONFINED: Final = """import os, sys
import kglite
from argosy.shards.views import child
from argosy.shards.views.contents import Contents
child.confine(os.open("/proc/self/statm", os.O_RDONLY), 256 << 20)
graph = Contents().look()
for cypher in sys.argv[1:]:
    try:
        print(graph.cypher(cypher).to_list())
    except kglite.KgError as error:
        print("refused")"""


def test_the_engine_has_no_file_and_no_right_to_write_whatever_it_is_asked() -> None:
    files = ("/etc/passwd", "file:///etc/passwd", "/proc/self/environ", "http://127.0.0.1:1/x")
    queries = [f"LOAD CSV FROM '{file}' AS row RETURN row" for file in files]
    queries += ["CREATE (n:N) RETURN n", "CREATE INDEX FOR (n:N) ON (n.x)", "CALL db.cdc.enable()"]

    done = subprocess.run(
        [sys.executable, "-c", _CONFINED, *queries], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert done.stdout.splitlines() == ["refused"] * len(queries)


def in_folder_of(process: psutil.Process) -> list[Path]:
    return list(Path(f"/proc/{process.pid}/cwd").iterdir())


async def test_a_child_has_no_secret_no_file_and_no_right_to_take_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOSY_SECRET", "hunter2")
    async with view_of([UpsertNode("1", "N")]) as view:
        child = psutil.Process(view.pid)

        assert "ARGOSY_SECRET" not in child.environ()
        assert in_folder_of(child) == []
        assert child.rlimit(psutil.RLIMIT_NOFILE) == (0, 0)
        assert child.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert child.rlimit(psutil.RLIMIT_AS)[0] < LIMITS.memory_bytes_max + 400 * 1_048_576
        assert {file.path for file in child.open_files()} == {f"/proc/{view.pid}/statm"}
        assert child.net_connections() == []
        assert child.nice() >= 10


async def test_a_killed_child_is_an_error_of_the_query_and_a_view_that_can_be_built(view: KgliteView) -> None:
    slow = asyncio.ensure_future(ask(view, ENDLESS, timeout_s=20))
    assert await value(view, "RETURN 1") == 1
    assert view.pid is not None

    os.kill(view.pid, signal.SIGKILL)

    with pytest.raises(ViewLostError):
        await slow
    assert view.is_lost
    with pytest.raises(ViewLostError):
        await view.apply([UpsertNode("1", "N")], 2)
    await view.build(1, Model(dense()).facts())
    assert await value(view, "MATCH (n) RETURN count(n)") == DENSE


async def test_a_graph_that_is_too_large_for_a_view_says_so() -> None:
    limits = LIMITS._replace(memory_bytes_max=64 * 1_048_576)
    with pytest.raises(GraphTooLargeError, match="67108864 bytes"):
        async with view_of([UpsertNode(str(i), "N", {"x": "y" * 1_000_000}) for i in range(50)], limits):
            pass


@pytest.mark.parametrize("rounds", [5, pytest.param(200, marks=pytest.mark.slow)])
async def test_a_child_that_is_killed_at_any_moment_leaves_a_view_that_can_be_built(rounds: int) -> None:
    chance = random.Random(rounds)
    first = [UpsertNode("n0", "N")]
    model = Model(first)
    async with view_of(first) as view:
        for number in range(rounds):
            applied: list[Op] = [UpsertNode(f"r{number}", "R"), UpsertEdge(f"r{number}", "K", "n0")]
            doing = asyncio.gather(
                view.apply(applied, number + 2), value(view, "MATCH (n) RETURN count(n)"), return_exceptions=True
            )
            await asyncio.sleep(chance.random() * 0.004)
            assert view.pid is not None
            os.kill(view.pid, signal.SIGKILL)
            assert {type(each) for each in await doing} <= {ViewLostError, type(None), int}
            model.apply(applied)

            with pytest.raises(ViewLostError):
                await value(view, "RETURN 1")
            await view.build(number + 2, model.facts())

            assert await value(view, "MATCH (n) RETURN count(n)") == len(model.nodes)


async def test_a_stopped_child_is_killed_behind_the_deadline_and_who_asks_does_not_wait_for_it(
    view: KgliteView,
) -> None:
    assert view.pid is not None
    os.kill(view.pid, signal.SIGSTOP)
    began_at = time.monotonic()

    with pytest.raises(GraphDeadlineError):
        await ask(view, "RETURN 1", timeout_s=0.2)

    assert time.monotonic() - began_at < 0.6
    with pytest.raises(ViewLostError):
        await view.apply([UpsertNode("1", "N")], 2)  # waits for the child, until it is killed
    assert view.is_lost


async def test_a_deadline_that_is_too_short_costs_nobody_the_view(view: KgliteView) -> None:
    for timeout_s in (-1, 0, 0.0001, 0.001):
        with contextlib.suppress(GraphDeadlineError):
            await ask(view, "MATCH (a), (b), (c) RETURN count(*)", timeout_s=timeout_s)

    assert await value(view, "RETURN 1") == 1


async def test_a_caller_that_leaves_does_not_take_the_view_with_it(view: KgliteView) -> None:
    slow = asyncio.ensure_future(ask(view, ENDLESS, timeout_s=1))
    await asyncio.sleep(0)

    slow.cancel()

    assert await value(view, "MATCH (n) RETURN count(n)") == DENSE


_PARENT = """import asyncio, sys
from tests.shards.views import view_of
async def main():
    async with view_of() as view:
        print(view.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())"""


def test_a_child_whose_parent_is_killed_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.wait()

    child.wait(timeout=10)
    parent.stdout.close()

"""Writes of a shard: committed in groups and in order, each answered, refused when too many wait."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from argosy.errors import (
    GraphDeadlineError,
    OutcomeUnknownError,
    ShardBusyError,
    ShardUnavailableError,
    WrongOwnerError,
)
from argosy.graph.facts import Applied, GraphRef, WriteKey
from argosy.graph.ops import MergeProps
from argosy.shards.engine import Batch
from argosy.shards.engines.sqlite_graph import SqliteGraph
from argosy.shards.shard import Shard
from tests.shards.engines import Opened, new_ref, person
from tests.shards.shards import S, apply, ids_of, shard_of

ONE_MIB = {"shard_graph_queue_size_bytes_max": 1_048_576, "graph_batch_size_bytes_max": 1_048_576}


class Held:
    """Holds commits of an engine up, and notes them: their batches, and the threads that made them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = threading.Event()
        self.begun = threading.Event()
        self.groups: list[int] = []
        self.at_once = 0
        self._under_way: dict[int, int] = {}
        commit = SqliteGraph.apply_many

        def held(graph: SqliteGraph, batches: Sequence[Batch], now_ms: int) -> list[Any]:
            self._under_way[id(graph)] = self._under_way.get(id(graph), 0) + 1
            self.at_once = max(self.at_once, self._under_way[id(graph)])
            self.begun.set()
            self.let_go.wait(S)
            try:
                return commit(graph, batches, now_ms)
            finally:
                self._under_way[id(graph)] -= 1
                self.groups.append(len(batches))

        monkeypatch.setattr(SqliteGraph, "apply_many", held)

    async def hold(self, shard: Shard, ref: GraphRef) -> "asyncio.Task[Applied]":
        """Begin a write that is held up in its thread."""
        write = asyncio.create_task(apply(shard, ref, person("first")))
        await asyncio.to_thread(self.begun.wait, S)
        return write


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Shard]:
    async with shard_of(opened(tmp_path), shard_graph_queue_max=20) as shard:
        yield shard


@pytest.fixture
async def ref(shard: Shard) -> GraphRef:
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    return ref


class Narrow(NamedTuple):
    """A shard with one thread that writes, and two graphs of it."""

    shard: Shard
    ref: GraphRef
    other: GraphRef


@pytest.fixture
async def narrow(opened: Opened, tmp_path: Path) -> AsyncIterator[Narrow]:
    async with shard_of(opened(tmp_path), shard_write_threads=1) as shard:
        ref, other = new_ref(), new_ref(graph="other")
        for each in (ref, other):
            await shard.create(each, deadline_s=S)
        yield Narrow(shard, ref, other)


async def test_what_waits_is_committed_together_and_in_order(shard: Shard, ref: GraphRef, held: Held) -> None:
    first = await held.hold(shard, ref)
    waiting = [asyncio.create_task(apply(shard, ref, person(f"p{number}"))) for number in range(10)]
    await asyncio.sleep(0)

    held.let_go.set()

    assert await first == Applied(1)
    assert await asyncio.gather(*waiting) == [Applied(2 + number) for number in range(10)]
    assert held.groups == [1, 10]


async def test_each_batch_of_a_group_has_its_own_answer(shard: Shard, ref: GraphRef, held: Held) -> None:
    await held.hold(shard, ref)
    other_life = ref._replace(incarnation=new_ref().incarnation)
    waiting = [
        asyncio.create_task(call)
        for call in (
            apply(shard, other_life, person("x")),
            apply(shard, ref, person("a")),
            apply(shard, ref, MergeProps({}, id="nobody")),
            apply(shard, other_life, person("y")),
            apply(shard, ref, person("b")),
        )
    ]
    await asyncio.sleep(0)

    held.let_go.set()
    strange, a, refused, stranger, b = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(strange, WrongOwnerError)
    assert isinstance(stranger, WrongOwnerError)
    assert (a, b) == (Applied(2), Applied(3))
    assert isinstance(refused, Applied)
    assert (refused.version, refused.failed) == (0, 0)
    assert await ids_of(shard, ref) == ["a", "b", "first"]


async def test_eight_writers_lose_nothing_and_keep_their_order(opened: Opened, tmp_path: Path, held: Held) -> None:
    held.let_go.set()

    async def write(shard: Shard, ref: GraphRef, writer: int) -> None:
        for number in range(40):
            assert (await apply(shard, ref, person(f"w{writer}", n=number))).version
            (node,) = await shard.get_nodes(ref, [f"w{writer}"], deadline_s=S)
            assert node is not None
            assert node.props == b'{"n":%d}' % number

    async with shard_of(opened(tmp_path)) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        await asyncio.gather(*(write(shard, ref, writer) for writer in range(8)))

        assert (await shard.stats(ref, deadline_s=S)).version == 320
    assert sum(held.groups) == 320
    assert len(held.groups) < 320
    assert held.at_once == 1


async def test_one_graph_does_not_wait_for_another(shard: Shard, ref: GraphRef, held: Held) -> None:
    other = new_ref(graph="other")
    await shard.create(other, deadline_s=S)
    slow = await held.hold(shard, ref)
    held.begun.clear()

    beside = asyncio.create_task(apply(shard, other, person("a")))

    assert await asyncio.to_thread(held.begun.wait, S)
    held.let_go.set()
    assert [each.version for each in await asyncio.gather(slow, beside)] == [1, 1]


async def test_a_full_queue_refuses_at_once(shard: Shard, ref: GraphRef, held: Held) -> None:
    await held.hold(shard, ref)
    waiting = [asyncio.create_task(apply(shard, ref, person(f"p{number}"))) for number in range(20)]
    await asyncio.sleep(0)

    with pytest.raises(ShardBusyError):
        await apply(shard, ref, person("refused"))

    held.let_go.set()
    await asyncio.gather(*waiting)
    assert "refused" not in await ids_of(shard, ref)
    assert (await apply(shard, ref, person("later"))).version == 22


async def test_a_queue_is_bounded_in_bytes(opened: Opened, tmp_path: Path, held: Held) -> None:
    async with shard_of(opened(tmp_path), **ONE_MIB) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        await held.hold(shard, ref)
        waiting = asyncio.create_task(apply(shard, ref, person("a", text="x" * 600_000)))
        await asyncio.sleep(0)

        with pytest.raises(ShardBusyError):
            await apply(shard, ref, person("b", text="x" * 600_000))

        held.let_go.set()
        assert (await waiting).version == 2
        assert (await apply(shard, ref, person("b", text="x" * 600_000))).version == 3


async def test_a_call_ends_at_its_deadline_and_its_write_happens_once_or_not(
    shard: Shard, ref: GraphRef, held: Held
) -> None:
    first = await held.hold(shard, ref)
    key = WriteKey("k", int(time.time() * 1_000))

    with pytest.raises(GraphDeadlineError):
        await apply(shard, ref, person("ada"), key=key, deadline_s=0.05)
    held.let_go.set()
    await first

    assert await ids_of(shard, ref) == ["first"]  # no thread had begun with it
    assert await apply(shard, ref, person("ada"), key=key) == Applied(2)
    assert await apply(shard, ref, person("ada"), key=key) == Applied(2)


async def test_a_caller_that_gives_up_while_its_write_is_committed_finds_it_by_its_key(
    shard: Shard, ref: GraphRef, held: Held
) -> None:
    key = WriteKey("k", int(time.time() * 1_000))
    write = asyncio.create_task(apply(shard, ref, person("ada"), key=key))
    await asyncio.to_thread(held.begun.wait, S)

    write.cancel()
    held.let_go.set()

    assert await apply(shard, ref, person("ada"), key=key) == Applied(1)
    assert await ids_of(shard, ref) == ["ada"]


async def test_an_engine_that_breaks_leaves_the_outcome_open(
    shard: Shard, ref: GraphRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Any]:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(SqliteGraph, "apply_many", broken)
        with pytest.raises(OutcomeUnknownError):
            await apply(shard, ref, person("ada"))

    assert await apply(shard, ref, person("ada")) == Applied(1)


async def test_a_drop_waits_for_what_is_committed_and_ends_what_waits(shard: Shard, ref: GraphRef, held: Held) -> None:
    first = await held.hold(shard, ref)
    drop = asyncio.create_task(shard.drop(ref, deadline_s=S))
    late = asyncio.create_task(apply(shard, ref, person("late")))
    await asyncio.sleep(0)

    held.let_go.set()

    assert await first == Applied(1)
    await drop
    with pytest.raises(WrongOwnerError):
        await late


async def test_a_drop_that_was_given_up_before_a_thread_began_it_drops_nothing(narrow: Narrow, held: Held) -> None:
    shard, ref, other = narrow
    first = await held.hold(shard, ref)

    with pytest.raises(GraphDeadlineError):
        await shard.drop(other, deadline_s=0.05)
    held.let_go.set()

    assert await first == Applied(1)
    assert await apply(shard, other, person("ada")) == Applied(1)


async def test_a_shard_writes_when_the_system_has_no_more_threads(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ref = new_ref()
    async with shard_of(opened(tmp_path)) as shard:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)

            await shard.create(ref, deadline_s=S)
            assert await apply(shard, ref, person("ada")) == Applied(1)


async def test_a_query_waits_for_a_commit_until_its_deadline(shard: Shard, ref: GraphRef, held: Held) -> None:
    first = await held.hold(shard, ref)

    with pytest.raises(ShardBusyError, match="not committed before the deadline"):
        await shard.query(ref, "RETURN 1", {}, row_limit=1, deadline_s=0.05)

    held.let_go.set()
    assert await first == Applied(1)


async def test_a_shard_that_stops_commits_what_waits_and_takes_no_more(
    opened: Opened, tmp_path: Path, held: Held
) -> None:
    async with shard_of(opened(tmp_path)) as shard:
        ref = new_ref()
        await shard.create(ref, deadline_s=S)
        first = await held.hold(shard, ref)
        waiting = [asyncio.create_task(apply(shard, ref, person(f"p{number}"))) for number in range(5)]
        await asyncio.sleep(0)

        drain = asyncio.create_task(shard.drain(S))
        await asyncio.sleep(0)
        with pytest.raises(ShardUnavailableError):
            await apply(shard, ref, person("refused"))
        held.let_go.set()

        await drain
        assert [applied.version for applied in await asyncio.gather(first, *waiting)] == [1, 2, 3, 4, 5, 6]
    engine = opened(tmp_path)
    assert engine.graph(ref).stats().node_count == 6
    engine.close()


async def test_what_a_shard_had_not_begun_when_its_time_to_stop_was_over_is_refused(narrow: Narrow, held: Held) -> None:
    shard, ref, other = narrow
    first = await held.hold(shard, ref)
    waiting = [asyncio.create_task(apply(shard, each, person("late"))) for each in (ref, other)]
    await asyncio.sleep(0)

    await shard.drain(0.0)
    held.let_go.set()

    assert await first == Applied(1)
    for write in waiting:
        with pytest.raises(ShardUnavailableError, match="stopped"):
            await write

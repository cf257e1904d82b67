"""`argosy shard` as a process: it serves, is killed, stopped and drained, and says what is wrong with its settings."""

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from argosy.errors import ArgosyError, GraphDeadlineError, ShardUnavailableError
from argosy.graph.facts import GraphRef, WriteKey
from argosy.graph.ops import MergeProps
from argosy.graph.transport import Transport
from tests.harness.processes import stopped
from tests.shards.conditions import until
from tests.shards.engines import knows, new_ref, person
from tests.shards.processes import ShardProcess
from tests.shards.shards import S, apply, ids_of

WRITERS = 8


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[ShardProcess]:
    shard = ShardProcess(tmp_path / "data")
    yield shard
    shard.bury()


async def made(transport: Transport) -> GraphRef:
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    return ref


async def test_a_shard_serves_graphs_and_cypher_and_is_measured(shard: ShardProcess) -> None:
    process = shard.start()
    async with shard.called() as transport:
        ref = await made(transport)

        await apply(transport, ref, person("ada"), person("bob"), knows("ada", "bob"))

        assert await ids_of(transport, ref) == ["ada", "bob"]
        answer = await transport.query(ref, "MATCH (a)-[:KNOWS]->(b) RETURN b.id", {}, row_limit=10, deadline_s=S)
        assert answer.rows == [["bob"]]
    assert process.metric("argosy_shard_views") == 1
    assert process.metric("argosy_shard_view_builds_total") == 1
    assert process.metric("argosy_shard_commit_batches_count") == 1
    await until(lambda: process.metric("argosy_shard_graphs_open") == 1)
    await until(lambda: process.metric("argosy_shard_view_memory_bytes") > 1_000_000)
    await until(lambda: process.metric("argosy_shard_wal_size_bytes") > 0)


async def test_calls_whose_callers_go_once_they_have_the_end_are_counted_as_answered(shard: ShardProcess) -> None:
    process = shard.start()
    async with shard.called() as transport:
        ref = await made(transport)

        for _ in range(20):
            await asyncio.gather(*(transport.neighbors(ref, ["ada"], limit=1, deadline_s=S) for _ in range(16)))

    assert process.metric('argosy_shard_call_seconds_count{code="cancelled",method="Neighbors"}') == 0
    await until(lambda: process.metric('argosy_shard_call_seconds_count{code="ok",method="Neighbors"}') == 320)


async def test_a_shard_keeps_nothing_of_large_requests_in_memory(shard: ShardProcess) -> None:
    process = shard.start()
    people = [person(f"n{number}", text="x" * 50_000) for number in range(20)]  # 1 MB
    async with shard.called() as transport:
        ref = await made(transport)
        for _ in range(10):
            await apply(transport, ref, *people)
        before = psutil.Process(process.pid).memory_info().rss

        for _ in range(50):
            await apply(transport, ref, *people)

        assert psutil.Process(process.pid).memory_info().rss - before < 20_000_000


async def write_until_it_ends(transport: Transport, ref: GraphRef, writer: int, begun: int) -> tuple[int, int]:
    """Count a node up, one keyed write after the other. Returns what was acknowledged last, and what was sent last."""
    node_id, number = f"w{writer}", begun
    while True:
        number += 1
        key = WriteKey(f"{node_id}-{number}", int(time.time() * 1_000))
        try:
            await apply(transport, ref, person(node_id, n=number), MergeProps({str(number): 1}, id=node_id), key=key)
        except ArgosyError:
            return number - 1, number


@pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=pytest.mark.slow)])
async def test_what_was_acknowledged_outlives_kill_9(shard: ShardProcess, rounds: int) -> None:
    shard.start()
    async with shard.called() as transport:
        ref, member_id = await made(transport), await transport.identify(deadline_s=S)
    sent = [0] * WRITERS
    for _ in range(rounds):
        async with shard.called() as transport:
            writers = [
                asyncio.create_task(write_until_it_ends(transport, ref, writer, sent[writer]))
                for writer in range(WRITERS)
            ]
            await asyncio.sleep(random.uniform(0.1, 0.6))
            shard.process.kill()
            outcomes = await asyncio.gather(*writers)
        shard.start()
        async with shard.called() as transport:
            assert await transport.identify(deadline_s=S) == member_id
            version = (await transport.stats(ref, deadline_s=S)).version
            found = 0
            for writer, (acknowledged, last) in enumerate(outcomes):
                (node,) = await transport.get_nodes(ref, [f"w{writer}"], deadline_s=S)
                written = 0 if node is None else int(node.props[5 : node.props.index(b",")])
                assert acknowledged <= written <= last
                found += written
                sent[writer] = written
            assert version == found  # so none was applied twice


async def test_a_shard_that_is_stopped_for_a_while_goes_on(shard: ShardProcess) -> None:
    process = shard.start()
    async with shard.called() as transport:
        ref = await made(transport)
        key = WriteKey("k", int(time.time() * 1_000))
        with stopped(process), pytest.raises((GraphDeadlineError, ShardUnavailableError)):
            await apply(transport, ref, person("ada"), key=key, deadline_s=0.5)

        assert (await apply(transport, ref, person("ada"), key=key)).version == 1
        assert (await transport.stats(ref, deadline_s=S)).version == 1


async def test_sigterm_commits_what_waits_and_ends(shard: ShardProcess) -> None:
    process = shard.start()
    async with shard.called() as transport:
        ref = await made(transport)
        await transport.query(ref, "MATCH (n) RETURN n", {}, row_limit=1, deadline_s=S)
        writers = [asyncio.create_task(write_until_it_ends(transport, ref, writer, 0)) for writer in range(WRITERS)]
        await until(lambda: process.metric("argosy_shard_commit_batches_sum") >= WRITERS)

        code = await asyncio.to_thread(process.terminate)

        outcomes = await asyncio.gather(*writers)
    assert code == 0, process.tail()
    assert process.family() == []
    shard.start()
    async with shard.called() as transport:
        for writer, (acknowledged, _) in enumerate(outcomes):
            (node,) = await transport.get_nodes(ref, [f"w{writer}"], deadline_s=S)
            assert node is not None
            assert acknowledged > 0
            assert node.props.startswith(b'{"n":%d,' % acknowledged)  # what was refused is certainly not there


async def test_another_folder_is_another_shard(shard: ShardProcess, tmp_path: Path) -> None:
    shard.start()
    async with shard.called() as transport:
        first = await transport.identify(deadline_s=S)
    shard.process.kill()
    shard.start(SHARD_DIR=str(tmp_path / "another"))
    async with shard.called() as transport:
        assert await transport.identify(deadline_s=S) != first


def test_a_folder_has_one_shard(shard: ShardProcess, tmp_path: Path) -> None:
    shard.start()
    second = ShardProcess(shard.folder)
    try:
        process = second.begin()
        assert process.wait_dead() == 1
        assert f"{shard.folder}/shard is the folder of another shard" in process.tail()
        assert "SHARD_DIR" in process.tail()
    finally:
        second.bury()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SHARD_DIR": "/proc/nowhere"}, "/proc/nowhere"),
        ({"SHARD_HOST": "192.0.2.1"}, "SHARD_HOST=192.0.2.1"),
        ({"SHARD_SOCKET": "/proc/nowhere/socket"}, "/proc/nowhere/socket"),
        ({"GRAPH_SERVICE_AUTH_SECRET": "short"}, "GRAPH_SERVICE_AUTH_SECRET"),
        ({"SHARD_VIEWS_MAX": "0"}, "SHARD_VIEWS_MAX"),
    ],
)
def test_a_bad_setting_is_named(shard: ShardProcess, settings: dict[str, str], said: str) -> None:
    process = shard.begin(**settings)

    assert process.wait_dead() == 1
    last = process.tail().splitlines()[-1]
    assert last.startswith("argosy")
    assert said in last


async def test_a_shard_serves_on_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    shard = ShardProcess(tmp_path / "data", "--socket", str(path))
    try:
        shard.start()
        assert path.stat().st_mode & 0o777 == 0o600
        async with shard.called(f"unix:{path}") as transport:
            assert await transport.list(deadline_s=S) == []
    finally:
        shard.bury()

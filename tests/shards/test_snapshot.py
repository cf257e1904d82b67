"""A native snapshot is the graph, or it is refused."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.errors import CopyBrokenError, GraphInputError, WrongOwnerError
from argosy.graph.facts import GraphRef
from argosy.graph.snapshot import Snapshot, is_snapshot, send_snapshot, write_snapshot
from argosy.graph.transport import Transport
from tests.shards.engines import Opened, new_ref, person
from tests.shards.shards import S, apply, ids_of, shard_of

OTHER = new_ref("globex", "other", generation=5)


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    async with shard_of(opened(tmp_path / "shard")) as shard:
        yield shard


@pytest.fixture
async def people(shard: Transport) -> GraphRef:
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    await apply(shard, ref, person("ada"), person("bob", text="x" * 5_000))
    return ref


async def written(shard: Transport, ref: GraphRef, path: Path) -> Path:
    with path.open("wb") as file:
        await write_snapshot(shard.copies, ref, file, deadline_s=S)
    return path


async def test_a_snapshot_becomes_another_graph(shard: Transport, people: GraphRef, tmp_path: Path) -> None:
    path = await written(shard, people, tmp_path / "people")
    snapshot = Snapshot(path)
    snapshot.check()

    for _ in range(2):
        stats = await send_snapshot(shard.copies, OTHER, snapshot, deadline_s=S)

    assert is_snapshot(path)
    assert (snapshot.end.tenant, snapshot.end.generation) == ("acme", 1)
    assert (stats.generation, stats.version, stats.node_count) == (5, 1, 2)
    assert await ids_of(shard, OTHER) == await ids_of(shard, people) == ["ada", "bob"]
    assert (await apply(shard, OTHER, person("cy"))).version == 2


async def test_a_snapshot_that_is_sent_again_half_way_goes_on(
    shard: Transport, people: GraphRef, tmp_path: Path
) -> None:
    snapshot = Snapshot(await written(shard, people, tmp_path / "people"))

    with pytest.raises(WrongOwnerError):
        await send_snapshot(shard.copies, people._replace(generation=9), snapshot, deadline_s=S)
    await shard.drop(people, deadline_s=S)
    await send_snapshot(shard.copies, people._replace(generation=9), snapshot, deadline_s=S)

    assert await ids_of(shard, people._replace(generation=9)) == ["ada", "bob"]


async def test_a_snapshot_that_was_cut_or_altered_makes_no_graph(
    shard: Transport, people: GraphRef, tmp_path: Path
) -> None:
    whole = (await written(shard, people, tmp_path / "people")).read_bytes()
    chance, broken = random.Random(1), tmp_path / "broken"

    for cut in (0, 3, 15, 18, *(chance.randrange(len(whole)) for _ in range(30))):
        broken.write_bytes(whole[:cut])
        with pytest.raises(GraphInputError):
            Snapshot(broken)
    for _ in range(30):
        at = chance.randrange(15, len(whole) - 400)
        broken.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(GraphInputError):
            Snapshot(broken).check()

    with pytest.raises(CopyBrokenError):
        await send_snapshot(shard.copies, OTHER, Snapshot(broken), deadline_s=S)
    with pytest.raises(WrongOwnerError):
        await ids_of(shard, OTHER)

"""How a graph's shard is found and asked: what is remembered, what is tried again, and whom a failure concerns."""

import asyncio
import time
import uuid

import pytest

from argosy import telemetry
from argosy.config import Settings
from argosy.errors import (
    GraphDeadlineError,
    GraphFileError,
    GraphMissingError,
    GraphNotFoundError,
    OutcomeUnknownError,
    SettingError,
    ShardBusyError,
    ShardSilentError,
    ShardUnavailableError,
    StoreUnavailableError,
    WrongOwnerError,
)
from argosy.graph.facts import GraphName, WriteKey
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.store.graph import Directory, GraphRow
from argosy.store.pool import Pool
from tests.graph.conftest import OpenGateway
from tests.graph.memory_shards import Fault, MemoryShard, MemoryShards
from tests.harness.hand_clock import AheadClock, HandClock
from tests.harness.metrics import value_of
from tests.harness.tcp_proxy import PostgresProxy


class _Nothing(Pool):
    """A database that has no rows."""

    def __init__(self) -> None: ...

    async def fetch(self, statement: str, *arguments: object) -> list[object]:
        return []


ADA = UpsertNode(id="ada", label="Person")
KEY = WriteKey("k", 0)


async def one_on_each(graphs: Graphs, shards: MemoryShards) -> dict[str, GraphRow]:
    """A graph on each shard, by its endpoint."""
    found: dict[str, GraphRow] = {}
    for number in range(100):
        if len(found) < len(shards.folders):
            row = await graphs.create("acme", f"graph-{number}")
            found.setdefault(shards.endpoint_of(row.shard), row)
    return found


async def test_what_was_written_is_read(graphs: Graphs) -> None:
    await graphs.create("acme", "crm")
    applied = await graphs.of("acme", "crm").apply([ADA])

    (found,) = await graphs.of("acme", "crm").get_nodes(["ada"])

    assert found is not None
    assert (found.id, found.version) == ("ada", applied.version)


async def test_a_graph_that_nobody_made_is_not_found_and_not_made(graphs: Graphs, shards: MemoryShards) -> None:
    with pytest.raises(GraphNotFoundError):
        await graphs.of("acme", "crm").apply([ADA])

    assert shards.files_of("acme", "crm") == []


async def test_a_remembered_row_that_is_wrong_is_read_again_once(
    open_gateway: OpenGateway, shards: MemoryShards
) -> None:
    stale, other = await open_gateway(), await open_gateway()
    await stale.create("acme", "crm")
    await other.drop("acme", "crm")
    await other.create("acme", "crm")
    await other.of("acme", "crm").apply([ADA])
    shards.calls.clear()

    found = await stale.of("acme", "crm").get_nodes(["ada"])

    assert found != [None]
    assert shards.called("get_nodes") == 2


async def test_graphs_that_are_known_are_read_while_postgres_is_away(
    open_gateway: OpenGateway, shards: MemoryShards, settings: Settings, graph_dsn: str
) -> None:
    """At its age a row is read again, but an old one is better than none: the shard has the last word."""
    proxy = PostgresProxy(graph_dsn)
    await proxy.allow()
    pool, clock = Pool(proxy.dsn, 2, 1.0), HandClock()
    members = Members(Directory(pool), shards, settings, clock)
    graphs = Graphs(Directory(pool), members, settings, clock)
    await graphs.create("acme", "crm")
    await graphs.create("acme", "gone")
    await (await open_gateway()).drop("acme", "gone")
    clock.now_s += settings.graph_cache_s
    with pytest.raises(GraphNotFoundError):
        await graphs.find("acme", "gone")

    await proxy.refuse()

    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]
    await pool.close()
    await proxy.close()


async def test_while_postgres_is_away_another_life_than_the_remembered_one_may_be_there(
    open_gateway: OpenGateway, shards: MemoryShards, settings: Settings, graph_dsn: str
) -> None:
    """A write that was recorded for it is sent again later, then, and not given up."""
    proxy = PostgresProxy(graph_dsn)
    await proxy.allow()
    pool = Pool(proxy.dsn, 2, 1.0)
    stale = Graphs(Directory(pool), Members(Directory(pool), shards, settings, HandClock()), settings, HandClock())
    other = await open_gateway()
    await stale.create("acme", "crm")
    await other.drop("acme", "crm")
    meant = stale.of("acme", "crm", (await other.create("acme", "crm")).incarnation)

    await proxy.refuse()
    with pytest.raises(StoreUnavailableError):
        await meant.apply([ADA], key=KEY)
    await proxy.allow()

    assert (await meant.apply([ADA], key=KEY)).version == 1
    await pool.close()
    await proxy.close()


async def test_a_graph_that_is_meant_is_never_another_one_of_its_name(
    open_gateway: OpenGateway, shards: MemoryShards
) -> None:
    stale, other = await open_gateway(), await open_gateway()
    first = (await stale.create("acme", "crm")).incarnation
    await stale.of("acme", "crm", first).apply([ADA])
    await other.drop("acme", "crm")
    second = (await other.create("acme", "crm")).incarnation

    for graphs in (stale, other):
        with pytest.raises(GraphNotFoundError):
            await graphs.of("acme", "crm", first).apply([ADA], key=KEY)
    with pytest.raises(GraphNotFoundError):
        await stale.of("acme", "crm", first).get_nodes(["ada"])

    assert shards.files_of("acme", "crm")[0].version == 0
    assert (await stale.of("acme", "crm", second).apply([ADA])).version == 1


async def test_a_fleet_without_shards_says_which_setting_it_lacks(
    directory: Directory, shards: MemoryShards, settings: Settings
) -> None:
    nobody = Members(Directory(_Nothing()), shards, settings, HandClock())
    with pytest.raises(SettingError, match="GRAPH_SERVICE_ENDPOINTS"):
        await Graphs(directory, nobody, settings, HandClock()).create("acme", "crm")


@pytest.mark.parametrize("is_after", [False, True], ids=["before it was applied", "after it was applied"])
async def test_a_write_under_a_key_is_sent_again_and_applied_once(
    graphs: Graphs, shards: MemoryShards, is_after: bool
) -> None:
    await graphs.create("acme", "crm")
    shards.faults.append(Fault("apply", is_after))

    applied = await graphs.of("acme", "crm").apply([ADA], key=KEY)

    assert applied.version == 1
    assert (shards.called("apply"), shards.files_of("acme", "crm")[0].version) == (2, 1)


async def test_a_write_without_a_key_is_not_sent_again_when_it_may_have_been_applied(
    graphs: Graphs, shards: MemoryShards
) -> None:
    await graphs.create("acme", "crm")
    shards.faults.append(Fault("apply", is_after=True))

    with pytest.raises(OutcomeUnknownError):
        await graphs.of("acme", "crm").apply([ADA])

    assert shards.called("apply") == 1


async def test_a_read_is_made_again(graphs: Graphs, shards: MemoryShards) -> None:
    await graphs.create("acme", "crm")
    shards.faults += [Fault("get_nodes"), Fault("get_nodes")]

    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]


async def test_a_shard_that_is_down_concerns_its_own_graphs_alone(graphs: Graphs, shards: MemoryShards) -> None:
    rows = await one_on_each(graphs, shards)
    shards.down.add("two")

    for endpoint, row in rows.items():
        if endpoint == "two":
            with pytest.raises(ShardUnavailableError):
                await graphs.of("acme", row.graph).get_nodes(["ada"])
        else:
            assert await graphs.of("acme", row.graph).get_nodes(["ada"]) == [None]

    assert value_of(telemetry.SHARD_UP.labels(endpoint="two")) == 0
    assert value_of(telemetry.SHARD_UP.labels(endpoint="one")) == 1


async def test_a_shard_that_fails_is_left_alone_for_a_while_and_then_asked_again(
    graphs: Graphs, shards: MemoryShards, settings: Settings, clock: AheadClock
) -> None:
    row = await graphs.create("acme", "crm")
    shards.down.add(shards.endpoint_of(row.shard))
    with pytest.raises(ShardUnavailableError):
        await graphs.of("acme", "crm").get_nodes(["ada"])
    shards.calls.clear()
    with pytest.raises(ShardUnavailableError, match="left alone"):
        await graphs.of("acme", "crm").get_nodes(["ada"])
    assert shards.calls == []
    shown = telemetry.SHARD_BREAKER.labels(endpoint=shards.endpoint_of(row.shard))
    assert value_of(shown) == 2

    shards.down.clear()
    clock.ahead_s += settings.engine_breaker_cooldown

    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]
    assert value_of(shown) == 0


async def test_a_shard_without_room_for_a_graph_is_asked_about_others(graphs: Graphs, shards: MemoryShards) -> None:
    await graphs.create("acme", "crm")
    shards.faults += [Fault("get_nodes", is_busy=True)] * 100
    with pytest.raises(ShardBusyError):
        await graphs.of("acme", "crm").get_nodes(["ada"], deadline_s=0.5)
    shards.faults.clear()

    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]


async def test_a_graph_whose_file_cannot_be_used_is_not_asked_again(graphs: Graphs, shards: MemoryShards) -> None:
    await graphs.create("acme", "crm")
    shards.faults += [Fault("get_nodes", is_damaged=True), Fault("apply", is_damaged=True)]

    with pytest.raises(GraphFileError):
        await graphs.of("acme", "crm").get_nodes(["ada"])
    with pytest.raises(GraphFileError):
        await graphs.of("acme", "crm").apply([ADA], key=KEY)

    assert (shards.called("get_nodes"), shards.called("apply")) == (1, 1)
    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]


async def test_a_probe_that_is_cancelled_does_not_keep_the_shard_closed(
    graphs: Graphs, shards: MemoryShards, settings: Settings, clock: AheadClock
) -> None:
    row = await graphs.create("acme", "crm")
    shards.down.add(shards.endpoint_of(row.shard))
    with pytest.raises(ShardUnavailableError):
        await graphs.of("acme", "crm").get_nodes(["ada"])
    shards.down.clear()
    clock.ahead_s += settings.engine_breaker_cooldown
    shards.faults.append(Fault("get_nodes", hangs=True))
    probe = asyncio.create_task(graphs.of("acme", "crm").get_nodes(["ada"]))
    await shards.hanging.wait()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)

    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]


async def test_queries_that_ask_for_too_much_do_not_close_a_shard(graphs: Graphs) -> None:
    await graphs.create("acme", "crm")
    for _ in range(10):
        with pytest.raises(GraphDeadlineError):
            await graphs.of("acme", "crm").query("MATCH (n) RETURN n", {}, row_limit=1)

    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None]


async def test_a_shard_that_is_silent_when_it_has_nothing_to_compute_is_down(
    graphs: Graphs, shards: MemoryShards
) -> None:
    graph, row = graphs.of("acme", "crm"), await graphs.create("acme", "crm")
    shards.faults += [
        Fault("get_nodes", is_silent=True),
        Fault("apply", is_silent=True),
        Fault("query", is_silent=True),
    ]

    with pytest.raises(ShardSilentError) as read:
        await graph.get_nodes(["ada"])
    with pytest.raises(ShardSilentError) as written:
        await graph.apply([ADA], key=KEY)
    with pytest.raises(ShardSilentError) as asked:
        await graph.query("MATCH (n) RETURN n", {}, row_limit=1)
    shards.faults.append(Fault("get_nodes", is_silent=True))
    with pytest.raises(ShardSilentError):
        await graph.get_nodes(["ada"])

    assert [each.value.shard for each in (read, written, asked)] == [row.shard] * 3
    with pytest.raises(ShardUnavailableError, match="left alone"):
        await graph.get_nodes(["ada"])


async def test_silence_is_no_sign_when_there_may_be_much_to_do(graphs: Graphs, shards: MemoryShards) -> None:
    graph, _ = graphs.of("acme", "crm"), await graphs.create("acme", "crm")
    for _ in range(10):
        shards.faults.append(Fault("query", is_silent=True))
        with pytest.raises(ShardSilentError) as silent:
            await graph.query("MATCH (n) RETURN n", {}, row_limit=1)
        assert silent.value.shard is None

    assert await graph.get_nodes(["ada"]) == [None]


async def test_silence_is_no_sign_when_there_was_little_time(graphs: Graphs, shards: MemoryShards) -> None:
    graph, _ = graphs.of("acme", "crm"), await graphs.create("acme", "crm")
    for _ in range(10):
        shards.faults.append(Fault("get_nodes", is_silent=True))
        with pytest.raises(ShardSilentError) as silent:
            await graph.get_nodes(["ada"], deadline_s=1.0)
        assert silent.value.shard is None

    assert await graph.get_nodes(["ada"]) == [None]


async def test_whether_a_graph_s_file_is_gone_is_looked_at_within_the_deadline(
    graphs: Graphs, shards: MemoryShards, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await graphs.create("acme", "crm")
    files = shards.folders[shards.endpoint_of(row.shard)].files
    gone = files.pop(GraphName("acme", "crm"))
    looked = []

    async def silent(_: MemoryShard, *, deadline_s: float) -> uuid.UUID:
        looked.append(deadline_s)
        raise ShardSilentError

    monkeypatch.setattr(MemoryShard, "identify", silent)

    for _ in range(5):
        with pytest.raises(WrongOwnerError) as refused:
            await graphs.of("acme", "crm").get_nodes(["ada"], deadline_s=1.0)
        assert not isinstance(refused.value, GraphMissingError), "nobody has seen that it is the right shard"

    assert len(looked) == 5
    assert max(looked) <= 1.0
    files[GraphName("acme", "crm")] = gone
    assert await graphs.of("acme", "crm").get_nodes(["ada"]) == [None], "silence says little of so short a look"


async def test_what_is_tried_again_ends_at_the_deadline(
    open_gateway: OpenGateway, shards: MemoryShards, settings: Settings
) -> None:
    graphs = await open_gateway()
    row = await graphs.create("acme", "crm")
    shards.down.add(shards.endpoint_of(row.shard))
    began_s = time.monotonic()

    with pytest.raises(ShardUnavailableError):
        await graphs.of("acme", "crm").get_nodes(["ada"], deadline_s=0.2)

    assert time.monotonic() - began_s < 0.4

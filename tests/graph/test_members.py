"""Who the members are: seeded once, whatever starts at once; what differs is said, and what is foreign refused."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from functools import partial

import pytest
from structlog.testing import capture_logs

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import SettingError, ShardUnavailableError
from argosy.graph.facts import GraphName, GraphRef, Member
from argosy.graph.graphs import Graphs, open_graphs
from argosy.graph.line import Again
from argosy.graph.members import Members
from argosy.graph.seed import Seed, settle_own
from argosy.store.graph import Directory
from argosy.store.pool import Pool
from tests.graph.memory_shards import Fault, File, Folder, MemoryShards
from tests.harness.hand_clock import HandClock
from tests.harness.metrics import value_of

ENDPOINTS = ["one", "two", "three"]


@pytest.fixture
def unseeded() -> MemoryShards:
    return MemoryShards(*ENDPOINTS)


@pytest.fixture
async def members(directory: Directory, shards: MemoryShards, settings: Settings) -> AsyncIterator[Members]:
    members = Members(directory, shards, settings, SystemClock())
    await members.refresh()
    yield members
    await members.close()


async def settle(directory: Directory, shards: MemoryShards, endpoints: list[str], within_s: float = 0.0) -> None:
    await Seed(directory, shards, HandClock()).settle(endpoints, within_s)


async def endpoints_of(directory: Directory) -> set[str]:
    return {row.endpoint for row in await directory.shards()}


async def test_the_settings_make_the_first_members_whoever_starts_at_once(
    directory: Directory, unseeded: MemoryShards
) -> None:
    await asyncio.gather(*(settle(directory, unseeded, ENDPOINTS) for _ in range(4)))

    assert {row.member for row in await directory.shards()} == set(unseeded.members)


async def test_later_the_settings_change_nothing_and_the_difference_is_said(
    directory: Directory, unseeded: MemoryShards
) -> None:
    await settle(directory, unseeded, ["one", "two"])

    with capture_logs() as said:
        await settle(directory, unseeded, ["two", "three"])
        await settle(directory, unseeded, ["two", "one"])

    assert await endpoints_of(directory) == {"one", "two"}
    (event,) = said
    assert (event["event"], event["only_in_settings"], event["only_in_database"]) == (
        telemetry.SHARDS_DIFFER,
        ["three"],
        ["one"],
    )


async def test_the_first_members_are_waited_for_and_then_missed_by_name(
    directory: Directory, unseeded: MemoryShards
) -> None:
    unseeded.down.add("two")

    with pytest.raises(ShardUnavailableError, match="the shard at two does not say"):
        await settle(directory, unseeded, ENDPOINTS, within_s=3.0)

    assert unseeded.calls.count(("two", "identify")) > 3
    assert await directory.shards() == []


async def test_one_that_is_named_by_hand_is_missed_by_its_endpoint_alone(directory: Directory) -> None:
    shards = MemoryShards("one")
    seed = Seed(directory, shards, HandClock())
    assert (await seed.find_one("one", 0.0)).member == shards.members[0]
    shards.down.add("one")

    with pytest.raises(ShardUnavailableError, match=r"^the shard at one does not say what it has: con"):
        await seed.find_one("one", 0.0)


async def test_one_shard_under_two_endpoints_is_refused(directory: Directory, unseeded: MemoryShards) -> None:
    unseeded.folders["alias"] = unseeded.folders["one"]

    with pytest.raises(SettingError, match="one and the same shard"):
        await settle(directory, unseeded, ["one", "alias"])


async def test_a_shard_with_graphs_of_another_database_is_no_first_member(
    directory: Directory, unseeded: MemoryShards
) -> None:
    ref = GraphRef("acme", "crm", uuid.uuid4(), 1)
    unseeded.folders["two"].files[GraphName(ref.tenant, ref.graph)] = File(ref)

    with pytest.raises(SettingError, match=r"two has graphs of which .* `argosy shards orphans`"):
        await settle(directory, unseeded, ENDPOINTS)

    assert await directory.shards() == []


async def test_graphs_that_were_made_since_others_have_seeded_refuse_nobody(
    directory: Directory, unseeded: MemoryShards
) -> None:
    ref = GraphRef("acme", "crm", uuid.uuid4(), 1)
    unseeded.faults.append(Fault("list", hangs=True))
    late = asyncio.create_task(settle(directory, unseeded, ENDPOINTS))
    await unseeded.hanging.wait()
    await settle(directory, unseeded, ENDPOINTS)
    for folder in unseeded.folders.values():
        folder.files[GraphName(ref.tenant, ref.graph)] = File(ref)

    unseeded.may_go_on.set()
    await late

    assert await endpoints_of(directory) == set(ENDPOINTS)


async def test_a_shard_that_a_fleet_brings_is_the_first_member_and_may_move(directory: Directory) -> None:
    first, other = uuid.uuid4(), uuid.uuid4()
    assert await settle_own(directory, Member(first, "one"), None)

    assert await settle_own(directory, Member(first, "moved"), None)
    assert await settle_own(directory, Member(first, "moved"), None)
    assert not await settle_own(directory, Member(other, "two"), None)

    assert [row.member for row in await directory.shards()] == [Member(first, "moved")]


async def test_what_answers_with_another_folder_is_refused_until_the_right_one_is_back(
    members: Members, shards: MemoryShards
) -> None:
    kept, shards.folders["two"] = shards.folders["two"], Folder()
    line = await members.line(kept.member_id)

    with capture_logs() as said:
        await members.look()
        await members.look()

    assert [each["event"] for each in said] == [telemetry.SHARD_FOREIGN]
    assert value_of(telemetry.SHARD_UP.labels(endpoint="two")) == 0
    assert "answers the folder" in line.reason
    shards.folders["two"] = kept
    await members.look()
    assert line.reason == ""
    assert value_of(telemetry.SHARD_UP.labels(endpoint="two")) == 1


async def test_a_shard_that_does_not_answer_is_said_once_and_so_is_its_return(
    members: Members, shards: MemoryShards
) -> None:
    await members.look()
    shards.down.add("two")

    with capture_logs() as said:
        await members.look()
        await members.look()
        shards.down.clear()
        await members.look()
        await members.look()

    assert [(each["event"], each["endpoint"]) for each in said] == [
        (telemetry.SHARD_UNREACHABLE, "two"),
        (telemetry.SHARD_REACHED, "two"),
    ]


async def test_a_shard_that_has_not_answered_yet_is_said_from_the_second_look_on(
    members: Members, shards: MemoryShards
) -> None:
    shards.down.add("two")

    with capture_logs() as said:
        await members.look()
        at_first = list(said)
        is_up = value_of(telemetry.SHARD_UP.labels(endpoint="two"))
        await members.look()

    assert (at_first, is_up) == ([], 0)
    assert [(each["event"], each["endpoint"]) for each in said] == [(telemetry.SHARD_UNREACHABLE, "two")]


async def test_one_that_is_away_is_looked_at_each_second_and_its_return_is_told(
    directory: Directory, shards: MemoryShards, settings: Settings
) -> None:
    clock, away = HandClock(), shards.folders["two"].member_id
    members = Members(directory, shards, settings.model_copy(update={"graph_watch_s": 60.0}), clock)
    back: list[tuple[uuid.UUID, float]] = []
    members.follow(lambda member_id: back.append((member_id, clock.now_s)))
    shards.down.add("two")
    watching = asyncio.create_task(members.watch())

    await reached(clock, 1_020.0)
    looks, others = shards.calls.count(("two", "identify")), shards.calls.count(("one", "identify"))
    told_before = [member_id for member_id, _ in back]
    shards.down.clear()
    await reached(clock, 1_022.0)
    watching.cancel()
    await members.close()

    assert 20 <= looks <= 42
    assert others == 1
    assert away not in told_before
    assert [at_s <= 1_021.0 for member_id, at_s in back if member_id == away] == [True]


async def reached(clock: HandClock, at_s: float) -> None:
    while clock.now_s < at_s:  # noqa: ASYNC110 (it tells nobody)
        await asyncio.sleep(0)


async def test_a_look_that_is_answered_ends_the_pause_in_which_a_shard_is_not_asked(
    members: Members, shards: MemoryShards, graphs: Graphs
) -> None:
    row = await graphs.create("acme", "crm")
    line, until_s = await members.line(row.shard), SystemClock().monotonic_s() + 60.0
    ask = partial(line.ask, lambda shard, left_s: shard.get_nodes(row.ref, [], deadline_s=left_s), until_s, Again.NEVER)
    shards.down.add(shards.endpoint_of(row.shard))
    for _ in range(3):
        await members.look()
    with pytest.raises(ShardUnavailableError, match="left alone") as caught:
        await ask()

    shards.down.clear()
    await members.look()

    assert caught.value.shard == row.shard
    assert await ask() == []


def endpoints_shown() -> set[str]:
    """The endpoints of which metrics say whether they answer, but for those of other tests."""
    (family,) = telemetry.SHARD_UP.collect()
    return {each.labels["endpoint"] for each in family.samples} & {*ENDPOINTS, "elsewhere"}


async def test_a_member_that_moves_gets_a_new_line_and_is_shown_where_it_is(
    members: Members, shards: MemoryShards, directory: Directory
) -> None:
    folder = shards.folders["two"]
    await members.look()
    before = await members.line(folder.member_id)
    shards.folders["elsewhere"] = folder

    await settle_own(directory, Member(folder.member_id, "elsewhere"), None)
    await members.refresh()
    await members.look()

    after = await members.line(folder.member_id)
    assert (before.member.endpoint, after.member.endpoint) == ("two", "elsewhere")
    assert endpoints_shown() == {"one", "three", "elsewhere"}


async def test_a_process_opens_and_closes_all_of_it(
    directory: Directory, unseeded: MemoryShards, settings: Settings, graph_dsn: str
) -> None:
    pool = Pool(graph_dsn, 2, 30.0)
    configured = settings.model_copy(update={"graph_service_endpoints": tuple(ENDPOINTS)})

    async with open_graphs(configured, pool, unseeded) as graphs:
        row = await graphs.create("acme", "crm")

    assert row.shard in {each.member_id for each in unseeded.members}
    assert await endpoints_of(directory) == set(ENDPOINTS)
    await pool.close()


async def test_without_a_shard_no_graph_is_made(
    directory: Directory, unseeded: MemoryShards, settings: Settings, graph_dsn: str
) -> None:
    pool = Pool(graph_dsn, 2, 30.0)

    async with open_graphs(settings, pool, unseeded) as graphs:
        with pytest.raises(SettingError, match="GRAPH_SERVICE_ENDPOINTS"):
            await graphs.create("acme", "crm")

    await pool.close()

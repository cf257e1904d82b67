"""The directory's rows: one graph per name and tenant, and every step of its life once, whoever sends it how often."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.errors import OwnershipLostError
from argosy.graph.facts import Member
from argosy.store.graph import Directory, GraphRow, GraphRowState, NewGraph
from argosy.store.pool import Pool, connect
from tests.maintenance.term import term_of

ONE, OTHER = Member(uuid.UUID(int=1), "tcp://one:1"), Member(uuid.UUID(int=2), "tcp://other:2")
NIL = uuid.UUID(int=0)


@pytest.fixture
async def directory(store_dsn: str) -> AsyncIterator[Directory]:
    pool = Pool(store_dsn, 4, 30.0)
    directory = Directory(pool)
    await directory.seed([ONE, OTHER])
    yield directory
    await pool.close()


def new(
    graph: str = "crm",
    tenant: str = "acme",
    *,
    shard: Member = ONE,
    ttl_s: float | None = None,
    restoring: bool = False,
) -> NewGraph:
    state = GraphRowState.RESTORING if restoring else GraphRowState.CREATING
    return NewGraph(tenant, graph, uuid.uuid4(), shard.member_id, state, None, ttl_s)


async def added(directory: Directory, graph: NewGraph) -> GraphRow:
    row = await directory.add(graph)
    assert row is not None
    return row


async def execute(dsn: str, statement: str, *arguments: object) -> None:
    connection = await connect(dsn)
    await connection.execute(statement, *arguments)
    await connection.close()


async def test_members_are_seeded_once(store_dsn: str) -> None:
    pool = Pool(store_dsn, 4, 30.0)
    directory = Directory(pool)

    done = await asyncio.gather(*(directory.seed([ONE, OTHER]) for _ in range(4)))
    again = await directory.seed([Member(uuid.UUID(int=3), "tcp://third:3")])

    assert sorted(done) == [False, False, False, True]
    assert not again
    assert [each.member for each in await directory.shards()] == [ONE, OTHER]
    await pool.close()


async def test_a_row_says_what_its_graph_s_values_are_bound_to_in_whatever_state_it_is(directory: Directory) -> None:
    sealed_as = uuid.uuid4()
    row = await added(directory, new()._replace(sealed_as=sealed_as))
    await added(directory, new("open"))

    found = [row, await directory.activate(row), await directory.find("acme", "crm")]
    listed = {each.graph: each.ref.sealed_as for each in await directory.list("acme", "", 10)}
    found.append(await directory.mark_dropped("acme", "crm"))
    found += await directory.dropped(uuid.UUID(int=0), 10)

    assert [each and each.sealed_as for each in found] == [sealed_as] * 5
    assert listed == {"crm": sealed_as, "open": None}


async def test_of_two_that_add_a_name_at_once_one_row_stays(directory: Directory) -> None:
    rows = await asyncio.gather(*(directory.add(new(shard=shard)) for shard in (ONE, OTHER, ONE, OTHER)))

    (written,) = [row for row in rows if row is not None]
    assert await directory.find("acme", "crm") == written


async def test_a_draining_shard_and_an_unknown_one_get_no_new_graphs(store_dsn: str, directory: Directory) -> None:
    await execute(store_dsn, "UPDATE shards SET state = 'draining' WHERE member_id = $1", ONE.member_id)

    assert await directory.add(new()) is None
    assert await directory.add(new(shard=Member(uuid.uuid4(), "tcp://nowhere:1"))) is None
    assert await directory.find("acme", "crm") is None


async def test_tenants_do_not_meet(directory: Directory) -> None:
    mine, theirs = await added(directory, new()), await added(directory, new(tenant="Acme"))

    assert mine.incarnation != theirs.incarnation
    assert await directory.list("acme", "", 10) == [mine]
    assert await directory.mark_dropped("nobody", "crm") is None
    assert await directory.activate(mine._replace(tenant="Acme")) is None


async def test_names_are_what_they_are_and_in_the_order_of_their_bytes(directory: Directory) -> None:
    names = ["Acme/Corp", "acme_corp", "a" * 300, "Ähre", "日本", "🦀"]
    for name in names:
        await added(directory, new(name))

    first = await directory.list("acme", "", 4)
    rest = await directory.list("acme", first[-1].graph, 4)

    assert [row.graph for row in (*first, *rest)] == sorted(names, key=str.encode)


async def test_each_step_of_a_life_may_be_sent_again(directory: Directory) -> None:
    row = await added(directory, new())

    active = row._replace(state=GraphRowState.ACTIVE)
    assert await directory.activate(row) == active
    assert await directory.activate(row) == active
    assert await directory.find("acme", "crm") == active
    dropping = row._replace(state=GraphRowState.DROPPING)
    assert await directory.mark_dropped("acme", "crm") == dropping
    assert await directory.mark_dropped("acme", "crm") == dropping
    assert await directory.activate(row) is None, "a creation that comes late changes nothing"
    assert await directory.list("acme", "", 10) == []
    assert await directory.dropped(NIL, 10) == [dropping]
    await directory.delete(row)
    await directory.delete(row)
    assert await directory.find("acme", "crm") is None


async def test_a_late_delete_does_not_reach_the_next_life(directory: Directory) -> None:
    former = await added(directory, new())
    await directory.mark_dropped("acme", "crm")
    await directory.delete(former)
    await added(directory, new())
    following = await directory.mark_dropped("acme", "crm")

    await directory.delete(former)

    assert await directory.find("acme", "crm") == following


async def test_a_graph_whose_time_is_over_is_marked_by_the_leader_alone(store_dsn: str, directory: Directory) -> None:
    over, later, ever = [await added(directory, new(name, ttl_s=ttl_s)) for name, ttl_s in TIMES]
    await execute(store_dsn, "UPDATE graphs SET expires_at = now() - interval '1 s' WHERE graph = $1", over.graph)
    former, term = await term_of(store_dsn, "graphs"), await term_of(store_dsn, "graphs")

    with pytest.raises(OwnershipLostError):
        await directory.expire("graphs", former, 10)
    assert await directory.expire("graphs", term, 10) == 1

    assert [row.graph for row in await directory.list("acme", "", 10)] == sorted([later.graph, ever.graph])
    assert [row.graph for row in await directory.dropped(NIL, 10)] == [over.graph]


TIMES = [("over", 60.0), ("later", 3_600.0), ("ever", None)]


async def test_a_graph_that_is_used_lives_on(directory: Directory) -> None:
    short, ever = await added(directory, new("short", ttl_s=60)), await added(directory, new("ever"))

    assert await directory.extend(short, None, 60) is None
    assert await directory.find("acme", "short") == short, "nothing of its life is over yet"
    await directory.extend(short, None, 3_600)
    await directory.extend(ever, None, 3_600)

    found = await directory.find("acme", "short")
    assert found is not None
    assert found.expires_at is not None
    assert short.expires_at is not None
    assert 3_500 < (found.expires_at - short.expires_at).total_seconds() < 3_600
    assert await directory.find("acme", "ever") == ever


async def test_a_copy_that_was_restored_stays(directory: Directory) -> None:
    row = await added(directory, new(restoring=True, ttl_s=60))

    active = await directory.activate(row)

    assert active == row._replace(state=GraphRowState.ACTIVE, expires_at=None)

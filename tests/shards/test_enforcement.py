"""A shard and a process that asks it, of which only one enforces access control lists."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from argosy.errors import GraphForbiddenError, ListsDisagreeError
from argosy.graph.acl import ALL, GraphAcl
from argosy.graph.asker import FLEET, Asker, principal_asker, told
from argosy.graph.facts import GraphRef, Source
from argosy.graph.feeds import FIRST_LINE, FeedBatch
from argosy.graph.messages import graph_of_pb, graph_to_pb
from argosy.graph.ops import UpsertNode
from argosy.graph.transport import Transport
from argosy.shards.enforcement import Enforcement
from argosy.shards.guarded import RIGHTS
from tests.harness.hand_clock import HandClock
from tests.shards.engines import Opened, new_ref
from tests.shards.processes import ShardProcess
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, sent, shard_of

ADA: Final = principal_asker("ada", (), is_admin=False)
BOSS: Final = principal_asker("boss", (), is_admin=True)
ENFORCED: Final = {"kg_brain_enforce": True, "kg_auth_required": True}
MINE: Final = UpsertNode("mine", "Person", {"_acl": {"read": ["user:eve"]}})
LINE: Final = FeedBatch("a", 1, FIRST_LINE, FIRST_LINE + 1, b"\0" * 16, b"\1" * 16, b"{}", 0)

Call = Callable[[Transport, GraphRef], Awaitable[Any]]


async def exported(shard: Transport, ref: GraphRef) -> list[bytes]:
    return [line async for line in shard.export(ref, deadline_s=S)]


CALLS: Final[dict[str, Call]] = {
    "apply": lambda shard, ref: apply(shard, ref, UpsertNode("new", "Person")),
    "get_nodes": lambda shard, ref: shard.get_nodes(ref, ["mine"], deadline_s=S),
    "neighbors": lambda shard, ref: shard.neighbors(ref, ["mine"], limit=10, deadline_s=S),
    "scan": lambda shard, ref: shard.scan(ref, limit=10, deadline_s=S),
    "scan_edges": lambda shard, ref: shard.scan_edges(ref, limit=10, deadline_s=S),
    "query": lambda shard, ref: shard.query(ref, "MATCH (n) RETURN n.id", {}, row_limit=10, deadline_s=S),
    "search": lambda shard, ref: shard.search(ref, "mine", limit=10, deadline_s=S),
    "summary": lambda shard, ref: shard.summary(ref, deadline_s=S),
    "stats": lambda shard, ref: shard.stats(ref, deadline_s=S),
    "bulk_load": lambda shard, ref: shard.bulk_load(ref, sent([MINE]), source=Source(), deadline_s=S),
    "export": exported,
    "ingest": lambda shard, ref: shard.ingest(ref, LINE, deadline_s=S),
    "feeds": lambda shard, ref: shard.feeds(ref, ["a"], deadline_s=S),
    "get_acl": lambda shard, ref: shard.get_acl(ref, deadline_s=S),
    "set_acl": lambda shard, ref: shard.set_acl(ref, None, deadline_s=S),
    "create": lambda shard, ref: shard.create(ref, deadline_s=S),
}
over = pytest.mark.parametrize("over", [shard_of, shard_over_grpc], ids=["in process", "over gRPC"])


@pytest.fixture
async def plain(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    async with request.param(opened(tmp_path)) as transport:
        yield transport


by_transport = pytest.mark.parametrize(
    "plain", [shard_of, shard_over_grpc], ids=["in process", "over gRPC"], indirect=True
)


async def people(shard: Transport) -> GraphRef:
    """A graph that nobody may read, with a node that nobody sees."""
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    await shard.set_acl(by(ref, FLEET), GraphAcl(), deadline_s=S)
    assert (await apply(shard, by(ref, FLEET), MINE)).version == 1
    return ref


def by(ref: GraphRef, asker: Asker | None) -> GraphRef:
    return ref._replace(asker=asker)


def test_every_call_that_lists_hold_for_is_in_the_table() -> None:
    assert CALLS.keys() == RIGHTS.keys()


@by_transport
@pytest.mark.parametrize("asker", [ADA, BOSS], ids=["ada", "boss"])
async def test_who_enforces_lists_is_not_served_where_none_are_enforced(plain: Transport, asker: Asker) -> None:
    ref = await people(plain)
    before = await exported(plain, by(ref, FLEET))

    for call in CALLS.values():
        with pytest.raises(ListsDisagreeError, match="KG_BRAIN_ENFORCE"):
            await call(plain, by(ref, asker._replace(enforced=True)))

    assert await exported(plain, by(ref, FLEET)) == before


@by_transport
async def test_who_enforces_no_lists_is_held_by_none_where_none_are_enforced(plain: Transport) -> None:
    """Also when they say who asks, as they do before lists are enforced."""
    ref = await people(plain)

    for asker in (None, ADA, FLEET):
        (found,) = await plain.get_nodes(by(ref, asker), ["mine"], deadline_s=S)
        assert found is not None
        assert [each.id for each in await plain.scan(by(ref, asker), limit=10, deadline_s=S)] == ["mine"]
        assert (await plain.neighbors(by(ref, asker), ["mine"], limit=10, deadline_s=S)).nodes
        assert (await plain.get_acl(by(ref, asker), deadline_s=S)).rights == ALL
        assert (
            await apply(plain, by(ref, asker), UpsertNode("mine", "Person", {"_acl": {"read": ["user:eve"]}}))
        ).version


@over
async def test_a_shard_that_enforces_lists_serves_who_says_who_asks(over: Any, opened: Opened, tmp_path: Path) -> None:
    """So shards are the first to enforce, while nobody else does."""
    async with over(opened(tmp_path), **ENFORCED) as shard:
        ref = await people(shard)
        for is_enforced in (False, True):
            ada = ADA._replace(enforced=is_enforced)
            with pytest.raises(GraphForbiddenError):
                await shard.get_nodes(by(ref, ada), ["mine"], deadline_s=S)
            await shard.set_acl(by(ref, FLEET), GraphAcl(write=("*",)), deadline_s=S)
            assert await shard.get_nodes(by(ref, ada), ["mine"], deadline_s=S) == [None]
            assert await shard.scan(by(ref, ada), limit=10, deadline_s=S) == []
            assert not (await shard.neighbors(by(ref, ada), ["mine"], limit=10, deadline_s=S)).nodes
            with pytest.raises(GraphForbiddenError):
                await apply(shard, by(ref, ada), UpsertNode("mine", "Person", {"_acl": None}))
            await shard.set_acl(by(ref, FLEET), GraphAcl(), deadline_s=S)


@over
async def test_a_shard_that_enforces_lists_serves_nobody_who_says_not_who_asks(
    over: Any, opened: Opened, tmp_path: Path
) -> None:
    async with over(opened(tmp_path), **ENFORCED) as shard:
        ref = await people(shard)
        before = await exported(shard, by(ref, FLEET))
        for name, call in CALLS.items():
            if name == "create":  # shows nothing, and gives nobody a right
                await call(shard, ref)
                continue
            with pytest.raises(ListsDisagreeError, match="KG_AUTH_REQUIRED"):
                await call(shard, ref)
        assert await exported(shard, by(ref, FLEET)) == before


@pytest.mark.parametrize("is_on", [False, True])
def test_it_is_said_once_and_shown_while_it_goes_on(is_on: bool) -> None:
    clock = HandClock()
    lists = Enforcement(clock, is_on=is_on)

    def ask() -> None:
        with pytest.raises(ListsDisagreeError):
            lists.known(None) if is_on else lists.check(ADA._replace(enforced=True))

    assert lists.fault == ""
    with capture_logs() as logged:
        ask()
        ask()
    assert [(each["event"], each["log_level"]) for each in logged] == [("shard.lists_disagree", "error")]
    assert lists.fault == logged[0]["error"]
    clock.now_s += 50
    assert lists.fault
    clock.now_s += 50
    assert lists.fault == ""


def test_who_asks_is_said_before_lists_are_enforced() -> None:
    assert told(ADA, is_known=False, enforces=False) is None
    assert told(ADA, is_known=True, enforces=False) == ADA
    assert told(ADA, is_known=True, enforces=True) == ADA._replace(enforced=True)
    assert {told(FLEET, is_known=False, enforces=False), told(FLEET, is_known=True, enforces=True)} == {FLEET}
    assert told(None, is_known=True, enforces=True) is None


@pytest.mark.parametrize(
    "asker",
    [None, ADA, ADA._replace(enforced=True), BOSS, FLEET],
    ids=["nobody", "ada", "ada-enforced", "boss", "fleet"],  # sets are written in another order in each process
)
def test_who_asks_crosses_a_call(asker: Asker | None) -> None:
    ref = new_ref()._replace(asker=asker)

    assert graph_of_pb(graph_to_pb(ref)) == ref


async def test_the_process_of_a_shard_says_that_it_is_asked_to_enforce_lists(tmp_path: Path) -> None:
    shard = ShardProcess(tmp_path / "data")
    process = shard.start()
    try:
        async with shard.called() as transport:
            for _ in range(2):
                with pytest.raises(ListsDisagreeError):
                    await transport.stats(by(new_ref(), ADA._replace(enforced=True)), deadline_s=S)
        ready = await asyncio.to_thread(answer_of, process.ready_url)
    finally:
        shard.bury()
    assert ready["enforces_lists"] is False
    assert "set KG_BRAIN_ENFORCE=1" in ready["lists_disagree"]
    assert (shard.folder / "shard.log").read_text().count("shard.lists_disagree") == 1


def answer_of(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (its own address)
        return json.load(answer)

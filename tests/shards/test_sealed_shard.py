"""A sealed graph through every transport: what every transport holds, with values that the shard cannot read."""

import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from argosy.errors import GraphInputError
from argosy.graph.acl import GraphAcl
from argosy.graph.facts import Direction, GraphRef, Hit, Neighborhood, WriteKey
from argosy.graph.feeds import FeedBatch
from argosy.graph.ops import MergeProps, UpsertNode
from argosy.graph.recall import recall
from argosy.graph.sealed_shard import SealedShard
from argosy.graph.transport import Transport
from argosy.ingest.chain import EMPTY
from argosy.seal.codec import PLAIN
from argosy.seal.errors import GraphSealedError, PayloadUnreadableError
from tests.seal.one_key import OneKey
from tests.shards.engines import Opened, knows, new_ref, person
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, ids_of, sent, shard_of
from tests.shards.test_transport import (  # noqa: F401
    test_a_batch_that_is_refused_says_why,
    test_a_graph_says_what_it_has,
    test_a_graph_that_was_dropped_and_made_again_is_empty,
    test_a_key_applies_once,
    test_a_lower_token_is_fenced,
    test_a_page_begins_behind_the_last_one,
    test_many_nodes_are_read_at_once_in_the_order_of_their_ids,
    test_what_was_applied_is_read,
)
from tests.shards.test_transport_streams import (  # noqa: F401
    test_a_load_is_whole_or_nothing,
    test_a_load_whose_caller_fails_changes_nothing,
    test_a_load_whose_caller_says_nothing_ends_at_its_deadline,
    test_a_restore_of_half_a_graph_leaves_nothing,
    test_an_export_may_be_left,
)

WORD: Final = "swordfish"


class Asked:
    """A graph, as recall asks it."""

    def __init__(self, transport: Transport, ref: GraphRef) -> None:
        self._transport = transport
        self._ref = ref

    async def search(self, text: str, *, limit: int, deadline_s: float | None = None, **by: Any) -> list[Hit]:
        return await self._transport.search(self._ref, text, limit=limit, deadline_s=S, **by)

    async def neighbors(self, ids: Sequence[str], *, limit: int, deadline_s: float | None = None) -> Neighborhood:
        return await self._transport.neighbors(self._ref, ids, limit=limit, deadline_s=S)


@pytest.fixture
def keys() -> OneKey:
    return OneKey()


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def plain(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    """The shard as it is."""
    bounds = {"graph_rows_max": 1_000, "graph_answer_size_bytes_max": 1_048_576, "shard_stall_s": 0.2}
    async with request.param(opened(tmp_path), **bounds) as transport:
        yield transport


@pytest.fixture
def transport(plain: Transport, keys: OneKey) -> Transport:
    """The shard as whoever asks for a sealed graph has it."""
    return SealedShard(plain, keys)


@pytest.fixture
async def there(transport: Transport) -> GraphRef:
    """An empty graph, which is sealed."""
    ref = new_ref()._replace(sealed_as=uuid.uuid4())
    await transport.create(ref, deadline_s=S)
    return ref


async def everything(transport: Transport, ref: GraphRef) -> str:
    """All that reads show, as one text."""
    nodes = await transport.scan(ref, limit=1_000, deadline_s=S)
    edges = await transport.scan_edges(ref, limit=1_000, deadline_s=S)
    around = await transport.neighbors(ref, [node.id for node in nodes], limit=1_000, deadline_s=S)
    found = await transport.get_nodes(ref, [node.id for node in nodes], deadline_s=S)
    copy = b"".join([each async for each in transport.export(ref, deadline_s=S)])
    return str((nodes, edges, around, found)) + copy.decode()


def props_of(node: Any) -> Any:
    return msgspec.json.decode(node.props)


async def test_a_shard_has_names_and_no_values(transport: Transport, plain: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("ada", said=WORD), person("bob"), knows("ada", "bob", why=[WORD]))
    await apply(transport, there, MergeProps({"more": {"deep": WORD}}, id="ada"))

    shown, had = await everything(transport, there), await everything(plain, there)

    assert shown.count(WORD) == 3 * 3 + 2  # scans, a neighbourhood and a copy have all; a node by its id two
    assert WORD not in had
    assert all(name in had for name in ("ada", "Person", "KNOWS", "said", "more", "why"))
    summary = await transport.summary(there, deadline_s=S)
    assert summary.nodes[0].props == [("more", 1), ("said", 1)]


async def test_props_are_merged_one_by_one(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("ada", a=1, b=2, c=3), person("bob"), knows("ada", "bob", since=1))

    await apply(
        transport,
        there,
        MergeProps({"b": None, "c": [2**63 - 1], "d": "new"}, id="ada"),
        MergeProps({"since": None, "until": 2.5}, src="ada", type="KNOWS", dst="bob"),
    )

    [ada] = await transport.get_nodes(there, ["ada"], deadline_s=S)
    around = await transport.neighbors(there, ["ada"], direction=Direction.OUT, limit=10, deadline_s=S)
    assert props_of(ada) == {"a": 1, "c": [2**63 - 1], "d": "new"}
    assert [props_of(edge) for edge in around.edges] == [{"until": 2.5}]


async def test_what_needs_values_in_the_clear_is_refused_for_good(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("ada", said=WORD))
    line = b'{"op":"upsert_node","id":"bob","label":"Person"}'
    batch = FeedBatch("job", 0, 1, 2, EMPTY, EMPTY, line, numbers=(1,))

    asked = (
        lambda: transport.query(there, "MATCH (n) RETURN n.said", {}, row_limit=10, deadline_s=S),
        lambda: transport.search(there, WORD, limit=10, deadline_s=S),
        lambda: transport.search(there, WORD, vector=("v", [1.0]), limit=10, deadline_s=S),
        lambda: recall(Asked(transport, there), WORD, 1_000),
        lambda: transport.ingest(there, batch, deadline_s=S),
    )
    for each in asked:
        with pytest.raises(GraphSealedError, match=r"'people' is sealed: no") as raised:
            await each()
        assert not raised.value.retryable
    assert await ids_of(transport, there) == ["ada"]


async def test_a_vector_that_its_user_gave_finds_nodes(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, UpsertNode("ada", "Person", {"said": WORD}, {"v": [1.0, 0.0]}))
    await apply(transport, there, UpsertNode("bob", "Person", {"said": "no"}, {"v": [0.0, 1.0]}))

    hits = await transport.search(there, "", vector=("v", [1.0, 0.1]), limit=1, deadline_s=S)
    facts = await recall(Asked(transport, there), "", 1_000, vector=("v", [1.0, 0.1]))

    assert [(hit.node.id, props_of(hit.node)) for hit in hits] == [("ada", {"said": WORD})]
    assert f'{{"said":"{WORD}"}}' in facts.text


async def test_a_batch_that_is_sent_again_is_known_though_it_is_sealed_anew(
    transport: Transport, there: GraphRef
) -> None:
    key = WriteKey("k", int(time.time() * 1_000))
    many = [person(f"{number:03}", said=WORD) for number in range(300)]

    first = await apply(transport, there, *many, key=key)
    again = await apply(transport, there, *many, key=key)

    assert first == again
    assert (await transport.stats(there, deadline_s=S)).version == 1


async def test_a_value_that_was_moved_at_the_shard_does_not_open(
    transport: Transport, plain: Transport, there: GraphRef
) -> None:
    await apply(transport, there, person("ada", said=WORD), person("bob"))
    [ada] = await plain.get_nodes(there, ["ada"], deadline_s=S)
    await apply(plain, there, person("bob", **props_of(ada)))

    with pytest.raises(PayloadUnreadableError, match="belongs elsewhere"):
        await transport.get_nodes(there, ["bob"], deadline_s=S)
    assert [props_of(each) for each in await transport.get_nodes(there, ["ada"], deadline_s=S)] == [{"said": WORD}]


async def test_after_its_key_is_destroyed_values_say_that_nobody_reads_them(
    transport: Transport, there: GraphRef, keys: OneKey
) -> None:
    await apply(transport, there, person("ada", said=WORD), person("bob"))
    keys.lost.add(there.tenant)

    for asked in (["ada"], ["bob", "ada"]):
        with pytest.raises(PayloadUnreadableError, match="was destroyed"):
            await transport.get_nodes(there, asked, deadline_s=S)
    with pytest.raises(PayloadUnreadableError, match="was destroyed"):
        b"".join([each async for each in transport.export(there, deadline_s=S)])
    assert (await transport.stats(there, deadline_s=S)).node_count == 2
    assert [props_of(each) for each in await transport.get_nodes(there, ["bob"], deadline_s=S)] == [{}]


async def test_a_process_without_keys_neither_reads_nor_writes(
    transport: Transport, plain: Transport, there: GraphRef
) -> None:
    await apply(transport, there, person("ada", said=WORD))
    without = SealedShard(plain, PLAIN)

    with pytest.raises(PayloadUnreadableError, match="PAYLOAD_KEYS is not set here"):
        await without.get_nodes(there, ["ada"], deadline_s=S)
    with pytest.raises(GraphSealedError, match="PAYLOAD_KEYS is not set"):
        await apply(without, there, person("bob", said="clear"))
    assert await ids_of(transport, there) == ["ada"]


async def test_a_copy_in_lines_is_in_the_clear_and_is_sealed_where_it_comes_to(
    transport: Transport, plain: Transport, there: GraphRef
) -> None:
    await apply(transport, there, person("ada", said=WORD), person("bob", n=2**63 - 1), knows("ada", "bob", why=WORD))
    await transport.set_acl(there, GraphAcl(read=("*",)), deadline_s=S)
    copy = b"".join([each async for each in transport.export(there, deadline_s=S)])
    clear, sealed = new_ref(graph="clear"), new_ref(graph="sealed")._replace(sealed_as=uuid.uuid4())

    await plain.restore(clear, sent(copy), deadline_s=S)  # its end has the digest of what is in it
    await transport.restore(sealed, sent(copy[:100], copy[100:]), deadline_s=S)

    assert copy.count(WORD.encode()) == 2
    assert WORD in await everything(plain, clear)
    assert WORD not in await everything(plain, sealed)
    *lines, end = copy.splitlines(keepends=True)
    assert msgspec.json.decode(end)["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    for reads in (transport.scan, transport.scan_edges):
        one, other = await reads(there, limit=10, deadline_s=S), await reads(sealed, limit=10, deadline_s=S)
        assert one == other


async def test_a_copy_that_was_altered_makes_no_sealed_graph(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("ada", said=WORD), person("bob", said="no"))
    copy = b"".join([each async for each in transport.export(there, deadline_s=S)])
    altered = {
        "a value": copy.replace(WORD.encode(), b"goldfish!"),
        "a line": copy.replace(b'"kind":"node"', b'"kind":"none"', 1),
        "a number too large": copy.replace(b'"swordfish"', b"1" + b"0" * 30),
        "no props": copy.replace(b'"props":{', b'"probs":{', 1),
        "the end": copy[: copy.rindex(b"\n", 0, -1)],
    }

    for what, lines in altered.items():
        ref = new_ref(graph=what)._replace(sealed_as=uuid.uuid4())
        assert lines != copy
        with pytest.raises(GraphInputError):
            await transport.restore(ref, sent(lines), deadline_s=S)
    assert [name.graph for name, _ in await transport.list(deadline_s=S)] == ["people"]

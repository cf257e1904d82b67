"""Values of props, sealed each for its place."""

import base64
import uuid
from typing import Any

import msgspec
import pytest

from argosy.graph.facts import GraphRef
from argosy.graph.ops import INT_MAX, DeleteNode, MergeProps, UpsertEdge, UpsertNode
from argosy.graph.sealed_props import SealedFact, digest_of, sealed_ops
from argosy.graph.strings import strings_of_props
from argosy.seal.codec import PLAIN
from argosy.seal.errors import PayloadUnreadableError
from tests.seal.one_key import OneKey

REF = GraphRef("acme", "crm", uuid.UUID(int=1), 1, sealed_as=uuid.UUID(int=2))
ADA = ("ada",)
EDGE = ("ada", "KNOWS", "bob")


async def sealed(props: dict[str, Any], ref: GraphRef = REF, fact: tuple[str, ...] = ADA) -> bytes:
    """The props of a fact, as a shard stores them."""
    sealer = (await OneKey().sealers((ref.tenant,)))[ref.tenant]
    is_node = len(fact) == 1
    op = UpsertNode(fact[0], "Person", props) if is_node else UpsertEdge(fact[0], fact[1], fact[2], props)
    [done] = sealed_ops([op], sealer, ref)
    assert isinstance(done, UpsertNode | UpsertEdge)
    return msgspec.json.encode(done.props)


async def opened(props: bytes, ref: GraphRef = REF, fact: tuple[str, ...] = ADA) -> Any:
    found = SealedFact(fact, props)
    return msgspec.json.decode(found.opened(await OneKey().opener(found.values(ref.tenant)), ref))


ANY = {
    "none": None,
    "yes": True,
    "large": INT_MAX,
    "half": 0.5,
    "text": "a\u2028b \U0001f600",
    "deep": {"a": [1, {"b": None}]},
    "seemingly": {"$sealed:AQAA": None},
    "": "no name",
    "n" * 100_000: 1,
}


@pytest.mark.parametrize("fact", [ADA, EDGE])
async def test_every_value_comes_back_as_it_was_and_names_alone_can_be_read(fact: tuple[str, ...]) -> None:
    stored = await sealed(ANY, fact=fact)

    assert await opened(stored, fact=fact) == ANY
    assert list(msgspec.json.decode(stored)) == list(ANY)
    for each in msgspec.json.decode(stored).values():
        [name] = each
        data = base64.b64decode(name.removeprefix("$sealed:"), validate=True)
        assert data[:5] == b"\x01\x00\x00\x00\x07"


async def test_shards_find_no_text_in_them_to_index() -> None:
    assert strings_of_props(msgspec.json.decode(await sealed({"name": "Ada", "more": ["Lovelace"]})), 1_000) == ""


@pytest.mark.parametrize(
    ("ref", "fact", "name"),
    [
        (REF, ("bob",), "born"),
        (REF, EDGE, "born"),
        (REF, ADA, "died"),
        (REF._replace(tenant="other"), ADA, "born"),
        (REF._replace(sealed_as=uuid.UUID(int=3)), ADA, "born"),
    ],
    ids=["another node", "an edge", "another name", "another tenant", "another graph"],
)
async def test_a_value_that_was_moved_does_not_open(ref: GraphRef, fact: tuple[str, ...], name: str) -> None:
    value = msgspec.json.decode(await sealed({"born": 1815}))["born"]

    with pytest.raises(PayloadUnreadableError):
        await opened(msgspec.json.encode({name: value}), ref, fact)
    assert await opened(msgspec.json.encode({"born": value})) == {"born": 1815}


async def test_a_graph_that_moved_or_is_restored_under_another_name_is_the_same_place() -> None:
    stored = await sealed({"born": 1815})

    assert await opened(stored, REF._replace(graph="else", generation=9, incarnation=uuid.UUID(int=5))) == {
        "born": 1815
    }


@pytest.mark.parametrize(
    "value", [{"$sealed:": None}, {"$sealed:!": None}, {"$sealed:MTIz": None}, {"$sealed:AQAAAAc=": None}]
)
async def test_what_looks_sealed_and_is_not_does_not_open(value: Any) -> None:
    """`123` in Base64 is no value that anybody sealed."""
    with pytest.raises(PayloadUnreadableError):
        await opened(msgspec.json.encode({"born": value}))


async def test_a_value_in_the_clear_is_read_as_it_is() -> None:
    stored = msgspec.json.decode(await sealed({"born": 1815})) | {"name": "Ada", "odd": {"$sealed": 1}}

    assert await opened(msgspec.json.encode(stored)) == {"born": 1815, "name": "Ada", "odd": {"$sealed": 1}}


async def test_a_process_without_keys_says_so() -> None:
    found = SealedFact(ADA, await sealed({"born": 1815}))

    with pytest.raises(PayloadUnreadableError, match="PAYLOAD_KEYS is not set here"):
        found.opened(await PLAIN.opener(found.values("acme")), REF)


async def test_what_shards_have_to_read_stays() -> None:
    """A node's list, and null in merge_props, which removes a prop. An edge has no list."""
    acl = {"read": ["*"]}
    sealer = (await OneKey().sealers(("acme",)))["acme"]

    node, merge, of_edge, gone = sealed_ops(
        [
            UpsertNode("ada", "Person", {"_acl": acl, "born": None}),
            MergeProps({"_acl": None, "born": None, "died": 1852}, id="ada"),
            MergeProps({"_acl": acl, "since": None}, src="ada", type="KNOWS", dst="bob"),
            DeleteNode("ada"),
        ],
        sealer,
        REF,
    )

    assert isinstance(node, UpsertNode)
    assert isinstance(merge, MergeProps)
    assert isinstance(of_edge, MergeProps)
    assert node.props["_acl"] == acl
    assert node.props["born"] is not None
    assert (merge.props["_acl"], merge.props["born"]) == (None, None)
    assert merge.props["died"] != 1852
    assert of_edge.props["_acl"] != acl
    assert of_edge.props["since"] is None
    assert gone == DeleteNode("ada")
    assert await opened(msgspec.json.encode(of_edge.props), fact=EDGE) == {"_acl": acl, "since": None}


async def test_equal_operations_are_sealed_otherwise_each_time_and_have_one_digest() -> None:
    sealer = (await OneKey().sealers(("acme",)))["acme"]
    one, same = UpsertNode("ada", "Person", {"a": 1, "b": 2}), UpsertNode("ada", "Person", {"b": 2, "a": 1})
    other = UpsertNode("ada", "Person", {"a": 1, "b": 3})

    assert sealed_ops([one], sealer, REF) != sealed_ops([one], sealer, REF)
    assert digest_of([one], sealer) == digest_of([same], sealer) != digest_of([other], sealer)
    assert digest_of([one], sealer) != digest_of([one], (await OneKey().sealers(("other",)))["other"])

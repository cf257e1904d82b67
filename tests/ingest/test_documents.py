"""Documents and lines of uploads: what they become, and what is refused with which reason."""

import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.ops import DeleteNode, UpsertEdge, UpsertNode, check_ops
from argosy.ingest.documents import (
    CHUNK_LENGTH_MAX,
    OVERLAP_LENGTH_MAX,
    Document,
    ReplaceDocument,
    chunks_of,
    replacement_of,
)
from argosy.ingest.line_ops import Together, op_of
from argosy.ingest.oversized import marker_of
from argosy.ingest.refusal import Refusal, refusal_marker, refusal_of


def sentences(count: int) -> str:
    return " ".join(f"Sentence number {n} says that the ship Argo went on." for n in range(count))


def line(**document: object) -> bytes:
    return msgspec.json.encode({"op": "document", **document})


def reason_of(data: bytes) -> str:
    with pytest.raises(GraphInputError) as error:
        op_of(data)
    return str(error.value)


def test_a_document_becomes_a_node_its_chunks_and_their_links() -> None:
    made = op_of(line(id="log", text=sentences(40), metadata={"author": "Tiphys"}))

    assert isinstance(made, ReplaceDocument)
    nodes = {op.id: op for op in made.ops if isinstance(op, UpsertNode)}
    edges = [(op.src, op.type, op.dst) for op in made.ops if isinstance(op, UpsertEdge)]
    assert list(nodes) == ["log", "log#00001", "log#00002"] == ["log", *made.chunk_ids]
    assert nodes["log"].props["author"] == "Tiphys"
    assert nodes["log"].props["chunks"] == 2
    assert nodes["log"].props["title"].startswith("Sentence number 0")
    assert nodes["log#00002"].props["document"] == "log"
    assert nodes["log#00002"].props["n"] == 2
    assert edges == [
        ("log", "HAS_CHUNK", "log#00001"),
        ("log", "HAS_CHUNK", "log#00002"),
        ("log#00001", "NEXT", "log#00002"),
    ]
    check_ops(made.ops)


@pytest.mark.parametrize("text", ["", "  \n\n \t"])
def test_a_document_without_words_has_no_chunks(text: str) -> None:
    made = replacement_of(Document("empty", text))

    assert [type(op) for op in made.ops] == [UpsertNode]
    assert made.chunk_ids == []


def test_the_title_is_what_metadata_says() -> None:
    made = replacement_of(Document("d", "First line\nand another", {"title": "Argonautica"}))

    assert isinstance(made.ops[0], UpsertNode)
    assert made.ops[0].props["title"] == "Argonautica"


def test_a_chunk_ends_with_a_paragraph_if_one_ends_in_its_second_half() -> None:
    first = sentences(15)

    assert next(chunks_of(f"{first}\n\n{sentences(30)}")) == first


def test_a_chunk_ends_with_a_sentence_else() -> None:
    assert all(chunk.endswith(".") for chunk in chunks_of(sentences(200)))


def test_the_next_chunk_begins_with_the_end_of_the_one_before() -> None:
    one, other = list(chunks_of(sentences(40)))

    shared = max(n for n in range(OVERLAP_LENGTH_MAX) if one.endswith(other[:n]))
    assert shared > OVERLAP_LENGTH_MAX / 2


@given(st.text(alphabet=st.sampled_from("ab .!\n\r\té\u0301\u200d😀語。\u2003"), max_size=8_000))
@settings(max_examples=50, deadline=None)
def test_chunks_have_all_words_in_their_order_and_are_bounded(text: str) -> None:
    chunks = list(chunks_of(text))

    assert all(1 <= len(chunk) <= CHUNK_LENGTH_MAX and chunk == chunk.strip() for chunk in chunks)
    found = 0  # up to where the text is covered
    for chunk in chunks:
        at = text.find(chunk, max(0, found - OVERLAP_LENGTH_MAX))
        assert at >= 0
        assert not text[found : max(found, at)].strip()
        found = at + len(chunk)
    assert not text[found:].strip()


def test_a_huge_paragraph_without_spaces_is_cut_but_no_letter_is() -> None:
    letter = "e" + "\u0301" * 3

    chunks = list(chunks_of(letter * 100_000))

    assert len(chunks) > 300
    ends = {text[-1] for text in chunks}
    assert ends == {"\u0301"}
    assert not unicodedata.combining(chunks[0][0])


def test_a_line_of_10_mb_is_a_document() -> None:
    made = op_of(line(id="long", text=sentences(10_485_760 // 56)))

    assert isinstance(made, ReplaceDocument)
    assert 9_000 < len(made.chunk_ids) < 11_000


def test_a_text_of_more_chunks_than_may_be_is_refused() -> None:
    with pytest.raises(GraphTooLargeError, match="at most 20000 chunks"):
        replacement_of(Document("d", "x" * 22_000_000))


def test_the_same_document_makes_the_same_operations() -> None:
    assert replacement_of(Document("d", sentences(90))) == replacement_of(Document("d", sentences(90)))


def test_vectors_go_to_the_chunks() -> None:
    made = replacement_of(Document("d", sentences(40), vectors={"text": [[1.0, 0.0], [0.0, 1.0]]}))

    vectors = [op.vectors for op in made.ops if isinstance(op, UpsertNode)]
    assert vectors == [None, {"text": [1.0, 0.0]}, {"text": [0.0, 1.0]}]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"id": "", "text": ""}, "id has 1 to 512 characters, not 0"),
        ({"id": "x" * 510, "text": ""}, "id has 1 to 506 characters"),
        ({"id": "a\nb", "text": ""}, "id has no control characters"),
        ({"id": "d"}, "required field `text`"),
        ({"id": "d", "text": 7}, "Expected `str`, got `int`"),
        ({"id": "d", "text": "", "metadata": []}, "Expected `object`, got `array`"),
        ({"id": "d", "text": "", "metadata": {"chunks": 1}}, "metadata.chunks: "),
        ({"id": "d", "text": "", "metadata": {"sha256": ""}}, "metadata.sha256: "),
        ({"id": "d", "text": "", "metadata": {"big": 2**63}}, "does not fit into 64 bits"),
        ({"id": "d", "text": "", "metadata": {"big": "x" * 1_048_576}}, "at most 1048576 bytes as JSON"),
        ({"id": "d", "text": "", "body": ""}, "unknown field `body`"),
        ({"id": "d", "text": "one", "vectors": {"v": []}}, "vectors.v: one for each of 1 chunks, not 0"),
        ({"id": "d", "text": "one", "vectors": {"v": [[0]]}}, "finite numbers that are not all 0"),
    ],
)
def test_a_document_that_cannot_be_is_refused_with_the_reason(document: dict[str, object], reason: str) -> None:
    assert reason in reason_of(line(**document))


def test_a_line_is_one_operation() -> None:
    assert op_of(b'{"op": "delete_node", "id": "ada"}\r') == DeleteNode("ada")


@pytest.mark.parametrize("data", [b"", b" ", b"\r", b"\t\r"])
def test_an_empty_line_does_nothing(data: bytes) -> None:
    assert op_of(data) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"op": "delete_node", "id": "a', "truncated"),
        (b'{"op": "delete_node", "id": "a"}{', "trailing characters"),
        (b'{"op": "drop_graph"}', "drop_graph"),
        (b'{"id": "a"}', "missing required field `op`"),
        (b"null", "Expected `object`, got `null`"),
        (b'[{"op": "delete_node", "id": "a"}]', "Expected `object`, got `array`"),
        (b'{"op": "delete_node", "id": "\xe9"}', "no valid UTF-8"),
        (b"\x00\x01", "invalid character"),
        (marker_of(52_428_800, b"digest", b"{"), "52428800 bytes are too many for a line"),
        (b"[" * 100_000, ""),
        (b'{"op": "upsert_node", "id": "", "label": "A"}', "id has 1 to 512 characters, not 0"),
    ],
)
def test_what_is_no_operation_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    said = reason_of(data)

    assert reason in said
    assert not said.startswith("ops")


def test_several_operations_of_a_line_are_checked_each() -> None:
    node = {"op": "upsert_node", "id": "ada", "label": "Person"}
    document = {"op": "document", "id": "notes", "text": "On the engine."}

    made = op_of(msgspec.json.encode({"op": "together", "ops": [node, document]}))

    assert isinstance(made, Together)
    assert [type(each) for each in made.parts] == [UpsertNode, ReplaceDocument]
    assert reason_of(msgspec.json.encode({"op": "together", "ops": [node, {**node, "id": ""}]})).startswith("ops[1]: ")
    assert "1 to 10000" in reason_of(b'{"op": "together", "ops": []}')


def test_what_stands_for_a_record_without_a_line_says_why() -> None:
    marker = refusal_marker("mapping_failed", "KeyError: 'id' \ud800", b"\xff\n{")

    assert b"\n" not in marker
    assert refusal_of(marker) == Refusal("mapping_failed", "KeyError: 'id' ?", b"\xff\n{")
    assert reason_of(marker) == "KeyError: 'id' ?"
    assert refusal_of(b"{}") is None
    assert refusal_of(b"\0refused by hand") is None
    assert reason_of(b"\0refused by hand")

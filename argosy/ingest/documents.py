"""Documents as nodes and edges of a graph: one for the whole, one for each chunk of its text. Pure.

    {"op": "document", "id": "argonautica", "text": "…", "metadata": {"author": "Apollonius"}}

    (argonautica:Document {author, title, chunks, sha256})
    (argonautica) -[HAS_CHUNK {n}]-> (argonautica#00001:Chunk {text, n, document})
    (argonautica#00001) -[NEXT]-> (argonautica#00002)

Rules:
- A chunk has CHUNK_LENGTH_MAX characters at the most. It ends with a paragraph, if one ends in the second half of it;
  else with a sentence, a word, or wherever it is full, though never within a letter and its marks.
- A chunk begins with what the one before ended with, from a word on, OVERLAP_LENGTH_MAX characters at the most: what is
  said across the border of two chunks is whole in one of them.
- The same text makes the same chunks, so a document that comes again changes nothing but versions. One that comes with
  other contents replaces what it was: chunks that it has no more are deleted, which only the graph's file knows.
- The title is what metadata says, else the text's first line. Of metadata that names what is counted here nothing is
  taken: the document is refused.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.ops import NAME_LENGTH_MAX, Op, UpsertEdge, UpsertNode, check_ops, fault_of_name

CHUNK_LENGTH_MAX: Final = 1_200  # some 300 tokens: a few of them fit into a prompt, and one is about one thing
OVERLAP_LENGTH_MAX: Final = 150  # a sentence
CHUNKS_MAX: Final = 20_000  # of one document: more than a line of 8 MiB may have, half full as they may be
DOCUMENT_LABEL: Final = "Document"
CHUNK_LABEL: Final = "Chunk"
HAS_CHUNK: Final = "HAS_CHUNK"
NEXT_CHUNK: Final = "NEXT"
RESERVED: Final = ("chunks", "sha256")  # props of a document that are made here

_TITLE_LENGTH_MAX: Final = 120
_ID_LENGTH_MAX: Final = NAME_LENGTH_MAX - len("#00001")
_NEW_LENGTH_MAX: Final = CHUNK_LENGTH_MAX - OVERLAP_LENGTH_MAX
_PARAGRAPH: Final = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE: Final = re.compile("[.!?\u2026][\"'\u201d\u2019)\\]]*\\s+|[\u3002\uff01\uff1f]")
_WORD: Final = re.compile(r"\s+")
_JOINERS: Final = "\u200d\ufe0e\ufe0f"  # join emoji to one, or choose how a letter looks


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="document"):
    """A text that becomes nodes and edges. vectors: of its chunks, by name, one for each of them in their order."""

    id: str
    text: str
    metadata: dict[str, Any] = {}
    vectors: dict[str, list[list[float]]] | None = None


class ReplaceDocument(NamedTuple):
    """What becomes of a document: whatever chunks the node `id` had and has no more are deleted, then ops are done.
    ops: more than a batch may have; each of them is valid.
    """

    id: str
    chunk_ids: Sequence[str]
    ops: list[Op]


def replacement_of(document: Document) -> ReplaceDocument:
    """Return the operations that make a document. Raises GraphInputError and GraphTooLargeError, with the reason."""
    _check(document)
    texts = list(chunks_of(document.text))
    if len(texts) > CHUNKS_MAX:
        raise GraphTooLargeError(f"text: at most {CHUNKS_MAX} chunks, not {len(texts)}")
    chunk_ids = [f"{document.id}#{n:05}" for n in range(1, len(texts) + 1)]
    whole = UpsertNode(document.id, DOCUMENT_LABEL, _props_of(document, len(texts)))
    check_ops([whole])
    ops: list[Op] = [whole]
    vectors = document.vectors or {}
    for index, (chunk_id, text) in enumerate(zip(chunk_ids, texts, strict=True)):
        props = {"text": text, "n": index + 1, "document": document.id}
        own = {name: each[index] for name, each in vectors.items()}
        ops.append(UpsertNode(chunk_id, CHUNK_LABEL, props, own or None))
        ops.append(UpsertEdge(document.id, HAS_CHUNK, chunk_id, {"n": index + 1}))
    ops.extend(UpsertEdge(one, NEXT_CHUNK, other) for one, other in pairwise(chunk_ids))
    if vectors:
        for op in ops:
            check_ops([op])
    return ReplaceDocument(document.id, chunk_ids, ops)


def chunks_of(text: str) -> Iterator[str]:
    """Yield the chunks of a text in their order: none of them is empty, and together they have all of its words."""
    begin = start = 0  # start: with the end of the chunk before
    while begin < len(text):
        end = _end_of(text, begin)
        chunk = text[start:end].strip()
        if text[begin:end].strip():
            yield chunk
        begin, start = end, _overlap_from(text, begin, end)


def _check(document: Document) -> None:
    if fault := fault_of_name(document.id):
        raise GraphInputError(f"id {fault}")
    if len(document.id) > _ID_LENGTH_MAX:
        raise GraphInputError(f"id has 1 to {_ID_LENGTH_MAX} characters: a chunk's id has some more")
    for name in RESERVED:
        if name in document.metadata:
            raise GraphInputError(f"metadata.{name}: what a document has of this name is counted, and not given")
    if document.vectors:
        count = sum(1 for _ in chunks_of(document.text))
        for name, vectors in document.vectors.items():
            if len(vectors) != count:
                raise GraphInputError(f"vectors.{name}: one for each of {count} chunks, not {len(vectors)}")


def _props_of(document: Document, chunks: int) -> dict[str, Any]:
    try:
        digest = hashlib.sha256(document.text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise GraphInputError("text is no valid Unicode") from None
    title = document.text.lstrip()[:_TITLE_LENGTH_MAX].split("\n", 1)[0].rstrip()
    return {"title": title, **document.metadata, "chunks": chunks, "sha256": digest}


def _end_of(text: str, begin: int) -> int:
    """Return where a chunk ends whose own text begins at `begin`."""
    full = begin + _NEW_LENGTH_MAX
    if full >= len(text):
        return len(text)
    half = begin + _NEW_LENGTH_MAX // 2
    for border in (_PARAGRAPH, _SENTENCE, _WORD):
        ends = [match.end() for match in border.finditer(text, half, full)]
        if ends:
            return ends[-1]
    while full > half and (unicodedata.combining(text[full]) or text[full] in _JOINERS or text[full - 1] in _JOINERS):
        full -= 1
    return full


def _overlap_from(text: str, begin: int, end: int) -> int:
    """Return where the chunk after [begin, end) starts: with a word in its last OVERLAP_LENGTH_MAX characters, else, as
    in scripts without spaces, with the first of these.
    """
    first = max(begin, end - OVERLAP_LENGTH_MAX)
    match = _WORD.search(text, first, end)
    return match.end() if match and match.end() < end else first

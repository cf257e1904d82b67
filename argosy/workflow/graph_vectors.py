"""Makes vectors for what a turn writes to a graph: argosy/graph/embedding.py has the rules."""

from collections.abc import Sequence

import msgspec

from argosy.errors import GraphTooLargeError
from argosy.graph.embedder import Embedder
from argosy.graph.embedding import Made, Text, ids_of_merged, made_of, texts_of
from argosy.graph.facts import Node
from argosy.graph.ops import Op, Props
from argosy.workflow.graphs import BoundGraph

_decode_props = msgspec.json.Decoder(Props).decode


async def make_vectors(graph: BoundGraph, embedder: Embedder, ops: Sequence[Op]) -> Made | None:
    """Return vectors for operations on a graph; None when none of them needs one. Raises as the graph and the embedder
    do.
    """
    ids = ids_of_merged(ops)
    nodes = await _read(graph, ids) if ids else []
    there = [Text(node.id, node.label, _decode_props(node.props)) for node in nodes]
    texts = texts_of(ops, embedder.vector_name, embedder.text_length_max, there)
    if not texts:
        return None
    vectors = await embedder.embed(list(texts.values()))
    return made_of(embedder.vector_name, dict(zip(texts, vectors, strict=True)))


async def _read(graph: BoundGraph, ids: Sequence[str]) -> list[Node]:
    """Return those nodes that are there, of as many at once as one answer holds."""
    try:
        return [node for node in await graph.get_nodes(ids) if node is not None]
    except GraphTooLargeError:
        if len(ids) == 1:
            raise
    half = len(ids) // 2
    return [*await _read(graph, ids[:half]), *await _read(graph, ids[half:])]

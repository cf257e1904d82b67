"""What is found in a graph, as JSON: the one shape of answers in REST and in steps. Pure.

    node  {"id": "ada", "label": "Person", "props": {…}, "version": 3, "source": {"turn_id": "…", "step_key": "…"}}
    edge  {"src": "ada", "type": "KNOWS", "dst": "bob", "props": {…}, "version": 3, "source": null}

source: which turn and step wrote it last; null when no turn did.
"""

from typing import Any, Final

import msgspec

from argosy.graph.facts import Answer, Edge, Hit, LabelCount, Neighborhood, Node, Source, Summary
from argosy.graph.prompt import summary_text
from argosy.graph.recall import Fact, Recalled

Shape = dict[str, Any]

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def node_shape(node: Node) -> Shape:
    return {
        "id": node.id,
        "label": node.label,
        "props": _decode(node.props),
        "version": node.version,
        "source": _source(node.source),
    }


def edge_shape(edge: Edge) -> Shape:
    return {
        "src": edge.src,
        "type": edge.type,
        "dst": edge.dst,
        "props": _decode(edge.props),
        "version": edge.version,
        "source": _source(edge.source),
    }


def neighborhood_shape(found: Neighborhood) -> Shape:
    return {
        "nodes": [node_shape(each) for each in found.nodes],
        "edges": [edge_shape(each) for each in found.edges],
        "is_cut": found.is_cut,
    }


def hit_shape(hit: Hit) -> Shape:
    return {"node": node_shape(hit.node), "score": hit.score}


def answer_shape(answer: Answer) -> Shape:
    return {"columns": answer.columns, "rows": answer.rows, "is_cut": answer.is_cut}


def summary_shape(summary: Summary) -> Shape:
    """Return labels and types of edges, each with how many there are and how many of them have each property; text:
    the same for a prompt.
    """
    return {
        "nodes": [_count(each) for each in summary.nodes],
        "edges": [_count(each) for each in summary.edges],
        "text": summary_text(summary),
    }


def recalled_shape(recalled: Recalled) -> Shape:
    """Return facts about a text; text: the same for a prompt."""
    return {
        "text": recalled.text,
        "facts": [_fact(each) for each in recalled.facts],
        "tokens": recalled.tokens,
        "is_cut": recalled.is_cut,
    }


def _fact(fact: Fact) -> Shape:
    return {
        "text": fact.text,
        "ids": list(fact.ids),
        "version": fact.version,
        "source": _source(fact.source),
        "score": fact.score,
    }


def _count(found: LabelCount) -> Shape:
    return {"label": found.label, "total": found.total, "props": dict(found.props)}


def _source(source: Source) -> Shape | None:
    return {"turn_id": source.turn_id, "step_key": source.step_key} if source.turn_id else None

"""Recalls what a graph has about a text, within a budget of tokens: facts for a prompt.

Rules:
- A graph is asked twice: for the nodes that a search finds (text, and a vector if there is one), and for their
  neighbours and the edges between all of these. It is asked for no more than could fit: a fact has some ten tokens.
- Nodes are ranked by the search and by their neighbourhood (what is linked to more and better hits comes first), and
  both by reciprocal rank fusion: argosy/graph/fusion.py. An edge stands where its two nodes are on average.
- Facts are taken in this order as long as they fit; one that does not fit gives way to shorter ones. None takes more
  than a quarter of the budget: its end is cut off.
- Every fact says which turn and step wrote it last.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.facts import Hit, Neighborhood, Node, Source
from argosy.graph.fusion import OFFSET, fuse
from argosy.graph.prompt import CUT, edge_line, node_line
from argosy.graph.tokens import cut_to_tokens, estimate_tokens

BUDGET_MAX: Final = 100_000  # most of a prompt, for models that take 128,000
HITS_MAX: Final = 24  # each leaves room for ten of NEIGHBORS_MAX
HITS_MIN: Final = 8  # also for a small budget: the best fact may be of a later hit
NEIGHBORS_MAX: Final = 240  # with the hits
_FACT_TOKENS: Final = 12  # some ten (see above), and the end of its line
_FACTS_OF_HIT: Final = 4  # about: itself, and what is linked to it
_FACTS_MIN: Final = 4  # that fit into any budget
_LINE_TOKENS: Final = 1  # the end of a line


class Asked(Protocol):
    """A graph that recall asks: argosy/graph/graphs.py, or a transport with its graph."""

    async def search(
        self,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float | None = None,
    ) -> list[Hit]: ...

    async def neighbors(self, ids: Sequence[str], *, limit: int, deadline_s: float | None = None) -> Neighborhood: ...


class Fact(NamedTuple):
    """A node or an edge, as one line of text. ids: of the node, or of the edge's two nodes. score: comparable within
    one answer only.
    """

    text: str
    ids: tuple[str, ...]
    version: int
    source: Source
    score: float


class Recalled(NamedTuple):
    """The facts about a text. text: a line for each of them, in their order. tokens: of the text, estimated. is_cut:
    there was more, facts or the end of one.
    """

    text: str
    facts: list[Fact]
    tokens: int
    is_cut: bool


async def recall(
    graph: Asked,
    text: str,
    budget_tokens: int,
    *,
    vector: tuple[str, Sequence[float]] | None = None,
    deadline_s: float | None = None,
) -> Recalled:
    """Return the facts about a text that fit into a budget, the most relevant first. deadline_s: for each question."""
    if not 1 <= budget_tokens <= BUDGET_MAX:
        raise GraphInputError(f"budget_tokens is 1 to {BUDGET_MAX}, not {budget_tokens}")
    facts_max = budget_tokens // _FACT_TOKENS
    hits_max = min(max(facts_max // _FACTS_OF_HIT, HITS_MIN), HITS_MAX)
    nodes_max = min(max(facts_max, 2 * HITS_MIN), NEIGHBORS_MAX)
    hits = await graph.search(text, vector=vector, limit=hits_max, deadline_s=deadline_s)
    if not hits:
        return Recalled("", [], 0, False)
    found = [hit.node for hit in hits]
    try:
        around = await graph.neighbors([node.id for node in found], limit=nodes_max, deadline_s=deadline_s)
    except GraphTooLargeError:  # what was found is worth more than nothing
        around = Neighborhood(found, [], True)
    facts = rank(found, around)
    chosen, tokens = _fit(facts, budget_tokens)
    is_cut = around.is_cut or len(hits) == hits_max or len(chosen) < len(facts)
    is_cut = is_cut or any(fact.text.endswith(CUT) for fact in chosen)
    return Recalled("\n".join(fact.text for fact in chosen), chosen, tokens, is_cut)


def rank(found: Sequence[Node], around: Neighborhood) -> list[Fact]:
    """Return nodes that a search found, what is around them, and the edges between all of these, as ranked facts."""
    nodes = {node.id: node for node in (*found, *around.nodes)}
    ranks = {node.id: rank for rank, node in enumerate(found, start=1)}
    links: defaultdict[str, float] = defaultdict(float)
    for edge in around.edges:
        for one, other in ((edge.src, edge.dst), (edge.dst, edge.src)):
            if other in ranks and one != other:
                links[one] += 1 / (OFFSET + ranks[other])
    linked = sorted((node_id for node_id in nodes if links[node_id]), key=lambda node_id: -links[node_id])
    scores = dict(fuse([list(ranks), linked]))
    facts = []
    for node_id, score in scores.items():
        node = nodes[node_id]
        facts.append(Fact(node_line(node), (node_id,), node.version, node.source, score))
    for edge in around.edges:
        if edge.src in scores and edge.dst in scores:
            score = (scores[edge.src] + scores[edge.dst]) / 2
            facts.append(Fact(edge_line(edge), (edge.src, edge.dst), edge.version, edge.source, score))
    return sorted(facts, key=lambda fact: -fact.score)


def _fit(facts: Iterable[Fact], budget_tokens: int) -> tuple[list[Fact], int]:
    """Return the facts that fit, and how many tokens they are."""
    chosen: list[Fact] = []
    tokens = 0
    for fact in _cut(facts, budget_tokens):
        cost = estimate_tokens(fact.text) + _LINE_TOKENS
        if fact.text and tokens + cost <= budget_tokens:
            chosen.append(fact)
            tokens += cost
    return chosen, tokens


def _cut(facts: Iterable[Fact], budget_tokens: int) -> Iterator[Fact]:
    most = max(budget_tokens // _FACTS_MIN - _LINE_TOKENS, 1)
    for fact in facts:
        yield fact._replace(text=cut_to_tokens(fact.text, most))

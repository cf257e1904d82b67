"""The demonstration of ingest: answers a question from texts that were uploaded into a graph, and says where it stands.

It needs no model and no key: a search finds chunks of the texts, and the sentence that has most of the question's
words, rare ones first, is the answer. So the same question gets the same answer everywhere.

Input:  {"question", "graph"?: where the texts are; "library" unless given}
Result: {"answer": a sentence, or null, "chunk": the id of the chunk that has it, "document": its title, "summary"}
"""

import math
import re
from typing import Any, Final

from argosy.errors import WorkflowError
from argosy.workflow.context import Context
from argosy.workflow.definition import step, workflow
from argosy.workflows.support_text import stems

Json = dict[str, Any]

GRAPH: Final = "library"
_CHUNKS_MAX: Final = 8  # that are read for one question
_END: Final = re.compile(r"(?<=[.;:!?])\s+")


@step(effect="pure")
async def best_sentence(question: str, chunks: list[Json]) -> Json | None:
    """Return the sentence that has most of the question's words: {"text", "chunk", "document"}; None when none has any.

    A word counts the less the more chunks have it, and a sentence the less the longer it is.
    """
    words = [set(stems(chunk["text"])) for chunk in chunks]
    weights = {stem: 1 / held for stem in set(stems(question)) if (held := sum(stem in each for each in words))}
    best, best_score = None, 0.0
    for chunk in chunks:
        for sentence in _END.split(" ".join(chunk["text"].split())):
            score = sum(weights.get(stem, 0.0) for stem in set(stems(sentence))) / math.sqrt(len(sentence.split()) or 1)
            if score > best_score:
                best, best_score = {"text": sentence, "chunk": chunk["id"], "document": chunk["document"]}, score
    return best


@workflow
async def ask_library(ctx: Context, job: Json) -> Json:
    """Answers a question from texts in a graph."""
    question = job.get("question")
    if not isinstance(question, str) or not question.strip():
        raise WorkflowError("a question is a text")
    graph = ctx.graph(job.get("graph", GRAPH))
    hits = await graph.search(question, limit=_CHUNKS_MAX)
    found = [{"id": hit["node"]["id"], **hit["node"]["props"]} for hit in hits if hit["node"]["label"] == "Chunk"]
    best = await ctx.run(best_sentence, question, found)
    if best is None:
        return {"answer": None, "chunk": None, "document": None, "summary": "nothing in the library says so"}
    document = await graph.get(best["document"])
    title = document["props"]["title"] if document else best["document"]
    return {
        "answer": best["text"],
        "chunk": best["chunk"],
        "document": title,
        "summary": f"{best['text']} ({title}, {best['chunk']})",
    }

"""Searches the knowledge base that ships with the demonstration: cosine similarity of TF-IDF vectors, in memory."""

import json
import math
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any, Final

from argosy.workflows.support_text import stems

SCORE_MIN: Final = 0.08  # below this score an article shares only everyday words with a ticket


def search(text: str, language: str, limit: int) -> list[dict[str, Any]]:
    """Return the articles nearest to a text, the best first: {"id", "title", "answer", "score"}.

    Articles in other languages count only when there is none near in the text's own. An article with less than half of
    the best score is left out.
    """
    articles, frequency = _index()
    query = _vector(text, frequency, len(articles))
    scored = [(_cosine(query, vector), article) for article, vector in articles]
    near = [(score, article) for score, article in scored if score >= SCORE_MIN]
    own = [each for each in near if each[1]["language"] == language]
    ranked = sorted(own or near, key=lambda each: (-each[0], each[1]["id"]))
    best = [each for each in ranked[:limit] if each[0] >= ranked[0][0] / 2]
    return [
        {"id": article["id"], "title": article["title"], "answer": article["answer"], "score": round(score, 3)}
        for score, article in best
    ]


@cache
def _index() -> tuple[list[tuple[dict[str, Any], dict[str, float]]], Counter[str]]:
    raw = json.loads(files("argosy.workflows").joinpath("support_knowledge.json").read_text(encoding="utf-8"))
    texts = [f"{each['title']} {each['title']} {each['keywords']} {each['answer']}" for each in raw]
    frequency = Counter(stem for text in texts for stem in set(stems(text)))
    return [(article, _vector(text, frequency, len(raw))) for article, text in zip(raw, texts, strict=True)], frequency


def _vector(text: str, frequency: Counter[str], count: int) -> dict[str, float]:
    """Return the weights of a text's stems as a vector of length 1: how often here, how rarely elsewhere."""
    weights = {
        stem: (1 + math.log(times)) * math.log((1 + count) / (1 + frequency[stem]))
        for stem, times in Counter(stems(text)).items()
        if stem in frequency
    }
    length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
    return {stem: weight / length for stem, weight in weights.items()}


def _cosine(left: dict[str, float], right: dict[str, float]) -> float:
    return sum(weight * right[stem] for stem, weight in left.items() if stem in right)

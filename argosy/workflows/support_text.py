"""The text processing of the demonstration: pure functions over the word lists of support_words.json."""

import json
import re
from importlib.resources import files
from typing import Any, Final

_QUOTE: Final = re.compile(r"^\s*>.*$|^(On|Am) .{0,120}(wrote|schrieb.{0,60}):\s*$", re.M)
_SIGNATURE: Final = re.compile(r"^\s*(-- ?|—|Sent from my .*|Von meinem .* gesendet)\s*$.*", re.M | re.S)
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_SUFFIX: Final = re.compile(r"(ing|ed|es|s|en|er|e|n)$")

_WORDS: Final = json.loads(files("argosy.workflows").joinpath("support_words.json").read_text(encoding="utf-8"))
_STOP_WORDS: Final = {code: frozenset(each.split()) for code, each in _WORDS["stop_words"].items()}
_EVERYDAY: Final = frozenset().union(*_STOP_WORDS.values())
_TOPICS: Final = {topic: frozenset(each.split()) for topic, each in _WORDS["topics"].items()}
_URGENT: Final = _WORDS["urgent"]  # word → its weight; words of the subject count twice
_LETTERS: Final = _WORDS["letters"]
QUOTED_MAX: Final = 2  # articles in a letter


def clean(text: str) -> str:
    """Return the text without quoted mail and signature, with each run of white space as one space."""
    return " ".join(_SIGNATURE.sub("", _QUOTE.sub("", text)).split())


def words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def stems(text: str) -> list[str]:
    """Return the words that are not everyday words, without their commonest endings."""
    return [stem for word in words(text) if word not in _EVERYDAY and len(stem := _SUFFIX.sub("", word)) > 2]


def language(text: str) -> dict[str, Any]:
    """Return {"language", "confidence"}: the language of most of the text's everyday words; English without any."""
    found = words(text)
    hits = {code: sum(word in known for word in found) for code, known in _STOP_WORDS.items()}
    best = max(hits, key=lambda code: hits[code])
    total = sum(hits.values())
    return {"language": best if total else "en", "confidence": round(hits[best] / total, 2) if total else 0.0}


def urgency(subject: str, text: str) -> dict[str, Any]:
    """Return {"level": low | normal | high, "score", "topics", "because": the words that counted}."""
    found = words(subject) * 2 + words(text)
    loud = subject.isupper() or text.count("!") >= 3
    score = sum(_URGENT.get(word, 0) for word in found) + (2 if loud else 0)
    topics = [topic for topic, known in _TOPICS.items() if known & set(found)]
    level = "high" if score >= 5 else "normal" if score or topics else "low"
    return {"level": level, "score": score, "topics": topics, "because": sorted(set(found) & set(_URGENT))}


def draft(customer: str, code: str, urgent: dict[str, Any], articles: list[dict[str, Any]], earlier: str) -> str:
    """Return a letter in the customer's language, or in English when there are no phrases for it. earlier: a ticket of
    the customer's about the same; empty: there is none.
    """
    say = _LETTERS.get(code, _LETTERS["en"])
    lines = [f"{say['hello']} {customer}".strip() + ",", say["thanks"]]
    if earlier:
        lines.append(say["again"].format(ticket=earlier))
    if urgent["level"] == "high":
        lines.append(say["first"])
    lines += [f"{article['title']}: {article['answer']}" for article in articles[:QUOTED_MAX]] or [say["nothing"]]
    return "\n\n".join([*lines, say["bye"]])


def summary(ticket: dict[str, Any], triage: dict[str, Any]) -> str:
    """Return one line for a person who has many tickets to read."""
    topics = ", ".join(triage["topics"]) or "no topic"
    nothing = "nothing new in the knowledge base" if triage.get("remembered") else "nothing in the knowledge base"
    articles = ", ".join(triage["articles"]) or nothing
    return (
        f"{triage['ticket_id']} ({triage['language']}, {triage['urgency']} urgency; {topics}): "
        f"{clean(ticket['subject'])[:80]!r} → {articles} → {triage['next_action']}"
    )

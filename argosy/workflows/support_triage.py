"""The demonstration: reads a support ticket, sorts it, drafts an answer from a small knowledge base, and sums it up.

It needs no model and no key, only keyword scores and TF-IDF over articles that ship with it (support_text.py,
support_knowledge.json), so the same ticket gets the same answer everywhere.

Input:  {"ticket": {"id", "subject", "body", "customer"?, "customer_id"?, "channel"?, "received_at"?},
         "remember"?: whether its customer is remembered, "approval_timeout_s"?: seconds,
         "words_per_s"?: how fast the draft is written; at once unless given}
Result: {"ticket_id", "language", "urgency", "topics", "articles", "needs_approval", "approval", "draft",
         "next_action", "remembered"?: the customer's latest ticket about the same, "summary"}

With `remember` all sessions share what they know of a customer_id (support_memory.py). Who writes again about the same
is not sent the same articles again, and what a human has already is added to that ticket.

A ticket that is urgent or asks for money back needs a human's approval. By default the turn ends with the draft on
hold; with approval_timeout_s it waits so long for the signal `approval` ({"approved": true, "by": "name"}). A follower
of the turn sees the draft word by word, in the channel `draft` of its step.
"""

import asyncio
import re
from typing import Any, Final

from argosy.errors import WaitTimeoutError, WorkflowError
from argosy.workflow.context import Context
from argosy.workflow.definition import step, workflow
from argosy.workflow.emit import emit
from argosy.workflows import support_text
from argosy.workflows.support_knowledge import search
from argosy.workflows.support_memory import HOLD, SEND, Memory, recall

Json = dict[str, Any]

_WORDS: Final = re.compile(r"\s*\S+")
_WORDS_PER_S_MIN: Final = 0.5


@step(effect="pure")
async def normalise(ticket: Json) -> Json:
    """Remove signature, quoted mail and odd spaces. What is left is what the customer wrote."""
    missing = [field for field in ("id", "subject", "body") if not isinstance(ticket.get(field), str)]
    if missing:
        raise WorkflowError(f"the ticket needs text in: {', '.join(missing)}")
    text = support_text.clean(ticket["body"])
    return {"subject": support_text.clean(ticket["subject"]), "text": text, "words": len(text.split())}


@step(effect="pure")
async def detect_language(clean: Json) -> Json:
    return support_text.language(f"{clean['subject']} {clean['text']}")


@step(effect="pure")
async def score_urgency(clean: Json) -> Json:
    return support_text.urgency(clean["subject"], clean["text"])


@step(effect="pure")
def find_articles(clean: Json, language: str) -> list[Json]:
    """Return the best articles of the knowledge base. A synchronous step: it runs in a thread."""
    return search(f"{clean['subject']} {clean['subject']} {clean['text']}", language, limit=3)


@step(effect="pure")
async def draft_answer(
    ticket: Json, language: str, urgency: Json, articles: list[Json], words_per_s: float, earlier: str = ""
) -> str:
    letter = support_text.draft(ticket.get("customer", ""), language, urgency, articles, earlier)
    for word in _WORDS.findall(letter):
        emit("draft", text=word)
        if words_per_s:
            await asyncio.sleep(1 / words_per_s)
    return letter


@step(effect="pure")
async def summarise(ticket: Json, triage: Json) -> str:
    return support_text.summary(ticket, triage)


@workflow
async def support_triage(ctx: Context, job: Json) -> Json:
    """Sorts a support ticket, drafts an answer from a knowledge base, and asks for approval where it should."""
    if not isinstance(job, dict) or not isinstance(job.get("ticket"), dict):
        raise WorkflowError('the input is {"ticket": {"id", "subject", "body"}}')
    ticket = job["ticket"]
    clean = await ctx.run(normalise, ticket)
    language = (await ctx.run(detect_language, clean))["language"]
    urgency = await ctx.run(score_urgency, clean)
    found = await ctx.run(find_articles, clean, language)
    about = [article["id"] for article in found]
    memory = await recall(ctx, ticket, about) if job.get("remember") is True else Memory(ctx, ticket)
    articles = [article for article in found if article["id"] not in memory.sent]
    offered = [article["id"] for article in articles]
    again = [each["ticket_id"] for each in memory.earlier[:1]]
    draft = await ctx.run(draft_answer, ticket, language, urgency, articles, _words_per_s(job), *again)
    needs_approval = not memory.held and (urgency["level"] == "high" or "refund" in urgency["topics"])
    next_action = f"add to {memory.held}" if memory.held else _next_action(needs_approval, None, articles)
    await memory.remember(offered, next_action)  # not after a human decided: the customer may write again meanwhile
    if (approval := await _approval(ctx, job) if needs_approval else None) is not None:
        next_action = _next_action(needs_approval, approval, articles)
        await memory.remember(offered, next_action)
    triage = {
        "ticket_id": ticket["id"],
        "language": language,
        "urgency": urgency["level"],
        "topics": urgency["topics"],
        "articles": offered,
        "needs_approval": needs_approval,
        "approval": approval,
        "draft": draft,
        "next_action": next_action,
        **({"remembered": memory.told} if memory.earlier else {}),
    }
    return {**triage, "summary": await ctx.run(summarise, ticket, triage)}


async def _approval(ctx: Context, job: Json) -> Any:
    """Return what a human decided; None when nobody was asked, or nobody answered in time."""
    timeout_s = job.get("approval_timeout_s")
    if not timeout_s:
        return None
    try:
        return await ctx.wait_signal("approval", timeout_s=timeout_s)
    except WaitTimeoutError:
        return None


def _next_action(needs_approval: bool, approval: Any, articles: list[Json]) -> str:
    if needs_approval:
        if approval is None:
            return HOLD
        return SEND if isinstance(approval, dict) and approval.get("approved") is True else "drop the draft"
    return SEND if articles else "pass to a human"


def _words_per_s(job: Json) -> float:
    asked = job.get("words_per_s")
    return max(float(asked), _WORDS_PER_S_MIN) if isinstance(asked, (int, float)) and asked > 0 else 0.0

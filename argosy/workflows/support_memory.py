"""What the demonstration remembers of customers, whichever session learned it: in the tenant's graph `support`.

A node for each customer, one for each ticket, and an edge WROTE from the one to the other. Their ids are made of those
in the input, so a ticket that is triaged again is written over, and remembered once.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from argosy.errors import WorkflowError
from argosy.workflow.context import Context
from argosy.workflows.support_text import QUOTED_MAX, clean

Json = dict[str, Any]

GRAPH: Final = "support"
SEND: Final = "send the draft"
HOLD: Final = "hold for a human"
_WROTE: Final = "WROTE"
_TICKETS_MAX: Final = 100  # that are looked through: no customer of a demonstration writes more
_SUBJECT_CHARACTERS_MAX: Final = 80


class Memory(NamedTuple):
    """What is remembered when a ticket comes in. received_at: of the ticket; empty: it will not be remembered. about:
    the articles that the knowledge base has for it. earlier: the same customer's tickets that have one of these, the
    latest first, as the props of their nodes; told: the latest as a line for a person.
    """

    ctx: Context
    ticket: Json
    received_at: str = ""
    about: Sequence[str] = ()
    earlier: Sequence[Json] = ()
    told: str = ""

    @property
    def sent(self) -> set[str]:
        """The articles that the customer was sent before."""
        return {article for each in self.earlier for article in each["sent"]}

    @property
    def held(self) -> str:
        """The id of the latest ticket that a human has; empty: none has."""
        return next((each["ticket_id"] for each in self.earlier if each["next_action"] == HOLD), "")

    async def remember(self, offered: Sequence[str], next_action: str) -> None:
        """Write what is done about the ticket. offered: the articles that its draft was made of."""
        if not self.received_at:
            return
        customer, node = _customer(self.ticket), _node(self.ticket)
        props = {
            "ticket_id": self.ticket["id"],
            "subject": clean(self.ticket["subject"])[:_SUBJECT_CHARACTERS_MAX],
            "received_at": self.received_at,
            "about": list(self.about),
            "sent": list(offered[:QUOTED_MAX]) if next_action == SEND else [],
            "next_action": next_action,
        }
        await self.ctx.graph(GRAPH).apply([
            customer,
            {"op": "upsert_node", "id": node, "label": "Ticket", "props": props},
            {"op": "upsert_edge", "src": customer["id"], "type": _WROTE, "dst": node},
        ])  # fmt: skip


async def recall(ctx: Context, ticket: Json, about: Sequence[str]) -> Memory:
    """Return what is remembered of a ticket's customer, who is known from now on.

    Only what was received before counts, so a ticket that is triaged again gets the same answer.
    """
    graph, customer, at = ctx.graph(GRAPH), _customer(ticket), await _received_at(ctx, ticket)
    await graph.apply([customer])
    known = await graph.neighbors(customer["id"], types=[_WROTE], direction="out", limit=_TICKETS_MAX)
    others = [node["props"] for node in known["nodes"] if node["id"] not in (customer["id"], _node(ticket))]
    before = at.isoformat(timespec="seconds")  # all of one length and in UTC, so that texts are ordered as times are
    earlier = [each for each in others if each["received_at"] <= before and set(each["about"]) & set(about)]
    earlier.sort(key=lambda each: str(each["received_at"]), reverse=True)
    return Memory(ctx, ticket, before, about, earlier, _told(earlier[0], at) if earlier else "")


async def _received_at(ctx: Context, ticket: Json) -> datetime:
    """Return when a ticket was received: now unless it says so."""
    said = ticket.get("received_at")
    if said is None:
        return await ctx.now()
    try:
        at = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        raise WorkflowError(f"received_at is a time such as 2026-11-19T08:12:44Z, not {said!r:.80}") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _told(earlier: Json, at: datetime) -> str:
    days = (at.date() - datetime.fromisoformat(earlier["received_at"]).date()).days
    ago = f"{days} days earlier" if days > 1 else "the day before" if days else "the same day"
    done = f"{', '.join(earlier['sent'])} sent" if earlier["sent"] else earlier["next_action"]
    return f"{earlier['ticket_id']}, {ago}: {earlier['subject']!r} → {done}"


def _customer(ticket: Json) -> Json:
    """Return the operation that sets the node of a ticket's customer."""
    if not isinstance(ticket.get("customer_id"), str):
        raise WorkflowError("a ticket to remember needs text in: customer_id")
    node, name = f"customer/{ticket['customer_id']}", str(ticket.get("customer", ""))
    return {"op": "upsert_node", "id": node, "label": "Customer", "props": {"name": name}}


def _node(ticket: Json) -> str:
    return f"ticket/{ticket['id']}"

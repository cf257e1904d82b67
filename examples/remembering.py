"""Memory of sessions in graphs: the examples of docs/workflows.md, which shows them as they stand here."""

from typing import Any

from argosy import Context, GraphConditionError, graph, step, workflow


@step
async def respond(said: str, known: str) -> dict[str, Any]:
    """Stands for a model: it is shown what is known, and says what it has learned."""
    who, _, what = said.partition(" likes ")
    learned = [
        {"op": "upsert_node", "id": who, "label": "Person"},
        {"op": "upsert_node", "id": what, "label": "Thing"},
        {"op": "upsert_edge", "src": who, "type": "LIKES", "dst": what},
    ]
    return {"text": known or "I know nothing of it yet", "learned": learned}


# remembering
@workflow
async def remembering(ctx: Context, said: str) -> str:
    memory = ctx.graph()  # the session's own
    known = await memory.recall(said.split()[0], budget_tokens=500)
    response = await ctx.run(respond, said, known["text"])
    await memory.apply(response["learned"])
    return str(response["text"])


# claiming
@workflow
async def claiming(ctx: Context, ticket: str) -> str:
    tickets = ctx.graph("tickets")  # the tenant's: other sessions have it, too
    mine = {"id": ticket, "label": "Ticket", "props": {"by": ctx.session}, "if_absent": True}
    try:
        await tickets.upsert_nodes([mine])
    except GraphConditionError:
        taken = await tickets.get(ticket)
        return f"{taken['props']['by']} has it" if taken else "it is gone"
    return "it is mine"


# filing
@workflow
async def filing(ctx: Context, papers: list[dict[str, str]]) -> str:
    lines = [{"op": "document", "id": each["id"], "text": each["text"], "metadata": {}} for each in papers]
    job = await ctx.start_ingest("papers", lines)
    ended = await ctx.wait_ingest(job, timeout_s=3_600)
    return f"{ended['status']}: {ended['applied']} applied, {ended['rejected']} rejected"


# reading
@step
async def count_tickets() -> int:
    found = await graph("tickets").query("MATCH (t:Ticket) RETURN count(t)")
    return int(found["rows"][0][0])

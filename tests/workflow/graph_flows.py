"""What tests of ctx.graph have in common: nodes, a session's own graph, a journal over graphs in memory."""

from functools import reduce
from typing import Any

from argosy import (
    Context,
)
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.list_journal import ListJournal

ADA = {"id": "ada", "label": "Person", "props": {"born": 1815}}
BOB = {"id": "bob", "label": "Person"}
OWN = "session:default/customer-1"


def journal(graphs: MemoryGraphs | None, rows: list[Any] | None = None, attempt: int = 1) -> ListJournal:
    made = ListJournal(rows, attempt=attempt)
    made.shards = graphs
    return made


def nested(depth: int) -> list[Any]:
    """Return a list that is nested so deep."""
    return reduce(lambda inner, _: [inner], range(depth - 1), list[Any]())


async def remember(ctx: Context) -> Any:
    return await ctx.graph().upsert_nodes([ADA])

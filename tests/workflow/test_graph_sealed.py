"""What a workflow is told that asks a sealed graph for what it cannot do: at once, and for good."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from argosy import Context, StepFailedError
from argosy.seal.errors import GraphSealedError, PayloadUnreadableError
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


async def query(ctx: Context) -> Any:
    return await ctx.graph("vault").query("MATCH (n) RETURN n")


async def upload(ctx: Context) -> Any:
    return await ctx.start_ingest("vault", [{"op": "delete_node", "id": "ada"}])


@pytest.mark.parametrize(
    ("flow", "raised", "words"),
    [
        (query, GraphSealedError("graph 'vault' is sealed: no query"), "'vault' is sealed: no query"),
        (query, PayloadUnreadableError("key 1 of tenant 'acme' was destroyed"), "was destroyed"),
        (upload, None, "'vault' is sealed: nothing can be uploaded to it"),
    ],
)
async def test_a_step_fails_for_good_and_says_why(
    flow: Callable[[Context], Awaitable[Any]], raised: Exception | None, words: str
) -> None:
    graphs = MemoryGraphs()
    graphs.are_sealed = True
    await graphs.create("default", "vault")
    graphs.fails_with = raised  # type: ignore[assignment]
    told = ListJournal()
    told.shards = graphs

    with pytest.raises(StepFailedError, match=words) as failed:
        await run(flow, None, told)

    assert failed.value.error_type == type(raised or GraphSealedError("")).__name__
    assert "step.retrying" not in [row[2] for row in told.rows]

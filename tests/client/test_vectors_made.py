"""Graphs whose vectors a function of the user's makes: in a fleet with a real shard and a real Postgres."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from argosy import Argosy, Context, graph, log_lines, step, workflow
from argosy.client import TurnFailedError
from argosy.client.connection import UNIX
from argosy.errors import SettingError

TOY = "tests.harness.toy_embedder"
NODES = [
    {"id": "ada", "label": "Person", "props": {"is": "physician"}},
    {"id": "bob", "label": "Person", "props": {"is": "sailor"}},
    {"id": "cy", "label": "Thing", "props": {"is": "automobile"}},
]


@pytest.fixture(autouse=True)
def unchanged_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sets up would outlive the test."""
    monkeypatch.setattr(log_lines, "set_up_logging", lambda *_, **__: None)


def left_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@step
async def first_in_step(text: str) -> str:
    return str((await graph("people").search(text, limit=1))[0]["node"]["id"])


@step
def first_in_sync_step(text: str) -> str:
    return str(graph("people").search(text, limit=1)[0]["node"]["id"])


@workflow
async def asks(ctx: Context, text: str) -> dict[str, Any]:
    people = ctx.graph("people")
    await people.upsert_nodes(NODES)
    return {
        "search": (await people.search(text, limit=1))[0]["node"]["id"],
        "recall": (await people.recall(text, 50))["facts"][0]["ids"],
        "step": await ctx.run(first_in_step, text),
        "sync step": await ctx.run(first_in_sync_step, text),
        "own vector": (await people.search(text, vector=("other", [1.0]), limit=3)),
    }


@workflow
async def writes(ctx: Context, number: int) -> int:
    return await ctx.graph("people").upsert_nodes([{"id": f"n{number}", "label": "Person"}])


async def test_what_is_asked_in_other_words_is_found_in_workflows_in_steps_and_over_rest(
    folder: Path, make_cluster: Callable[[Path], None]
) -> None:
    make_cluster(folder)
    async with Argosy(workflows=[asks], data_dir=folder, embedder=f"{TOY}:embed") as here:
        told = await here.run(asks, "medic")

        transport = httpx2.AsyncHTTPTransport(uds=here.url.removeprefix(UNIX))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/v1/graphs/people") as client:
            found = (await client.post("/search", json={"text": "vehicle", "limit": 1})).json()
            recalled = (await client.post("/recall", json={"text": "vehicle"})).json()

    assert told == {"search": "ada", "recall": ["ada"], "step": "ada", "sync step": "ada", "own vector": []}
    assert [hit["node"]["id"] for hit in found["hits"]] == ["cy"]
    assert recalled["facts"][0]["ids"] == ["cy"]

    async with Argosy(workflows=[writes], data_dir=folder, embedder=f"{TOY}:embed_shorter") as here:
        with pytest.raises(TurnFailedError, match="has 3 numbers, and in this graph vectors of this name have 64"):
            await here.run(writes, 1)
        async with httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=here.url.removeprefix(UNIX)), base_url="http://localhost"
        ) as client:
            refused = await client.post("/v1/graphs/people/search", json={"text": "medic"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_graph_input")


async def test_a_function_that_cannot_be_loaded_is_said_before_anything_starts(folder: Path) -> None:
    with pytest.raises(SettingError, match=f"EMBEDDER cannot be loaded: {TOY}:none: AttributeError"):
        async with Argosy(workflows=[writes], data_dir=folder, embedder=f"{TOY}:none"):
            pass

    assert left_in(folder) == []

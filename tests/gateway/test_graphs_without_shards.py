"""A fleet that has no shards says so, and is otherwise what it was."""

import httpx2

from argosy.config import Settings
from tests.gateway.graph_shard import forget_shards


async def test_a_graph_can_neither_be_made_nor_be_there_and_the_setting_is_named(
    settings: Settings, client: httpx2.AsyncClient
) -> None:
    await forget_shards(settings.state_db_uri)

    made = await client.post("/v1/graphs", json={"graph": "people"})
    listed = await client.get("/v1/graphs")
    read = await client.get("/v1/graphs/people")

    assert (made.status_code, made.headers["retry-after"]) == (503, "1")
    assert "GRAPH_SERVICE_ENDPOINTS" in made.json()["detail"]
    assert read.status_code == 404
    assert read.json()["detail"].startswith("there is no graph 'people', and there are no shards for graphs: ")
    assert "GRAPH_SERVICE_ENDPOINTS" in read.json()["detail"]
    assert listed.json()["graphs"] == []

"""uvicorn as gateways run it."""

import asyncio
from typing import Any

import httpx2
import uvicorn

from argosy import config
from argosy.gateway.server import server_config
from tests.harness.processes import free_port


async def _tells_its_client(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()})


async def test_nobody_on_this_machine_is_believed_to_be_a_proxy() -> None:
    port = free_port()
    settings = config.load({})
    made = server_config(_tells_its_client, settings, is_own_process=False, host="127.0.0.1", port=port)
    server = uvicorn.Server(made)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10), httpx2.AsyncClient() as client:
            while not server.started:  # noqa: ASYNC110  # uvicorn tells nobody
                await asyncio.sleep(0.01)
            answer = await client.get(f"http://127.0.0.1:{port}/", headers={"x-forwarded-for": "203.0.113.77"})
    finally:
        server.should_exit = True
        await serving

    assert answer.text == "127.0.0.1"

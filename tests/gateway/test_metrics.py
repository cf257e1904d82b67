"""What the gateway counts."""

import re
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY

from argosy.gateway.boundary import Boundary
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.harness.hand_clock import HandClock


def count(text: str, route: str, status: int) -> float:
    found = re.search(rf'argosy_gateway_requests_total{{route="{re.escape(route)}",status="{status}"}} (\S+)', text)
    return float(found[1]) if found else 0.0


async def test_requests_are_counted_by_route_and_status(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "completed")
    seen = [
        ("/v1/sessions/{session}/turns", 202), ("/v1/turns:batch", 200), ("/v1/turns/{turn_id}", 200), ("none", 404),
        ("/v1/sessions/{session}/turns", 422),
    ]  # fmt: skip
    before = (await client.get("/metrics")).text

    await client.post("/v1/sessions/s/turns", json={"workflow": "echo"})
    await client.post("/v1/sessions/s/turns", json={})
    await client.post("/v1/turns:batch", content=b"{}")
    await client.get(f"/v1/turns/{turn_id}")
    await client.get("/nowhere")

    after = (await client.get("/metrics")).text
    assert [count(after, *each) - count(before, *each) for each in seen] == [1.0] * len(seen)
    assert str(turn_id) not in after


async def test_metrics_can_be_switched_off(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_metrics=False)

    assert (await client.get("/metrics")).status_code == 404


async def test_a_stream_counts_until_it_begins() -> None:
    clock = HandClock()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await clock.sleep(0.25)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await clock.sleep(3_600)
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody reads it."""

    name, route = "argosy_gateway_request_seconds_sum", {"route": "none"}
    before_s = REGISTRY.get_sample_value(name, route) or 0.0
    await Boundary(app, clock, [])({"type": "http", "path": "/", "headers": []}, receive, send)

    assert REGISTRY.get_sample_value(name, route) == pytest.approx(before_s + 0.25)

"""Where processes reach each other and are reached: IPv6, and an environment that names proxies for everything."""

import time

import pytest

from argosy.client.async_client import AsyncClient
from tests.harness.fleet import Fleet
from tests.harness.processes import ROOT

NOBODY = "http://127.0.0.1:1"
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"), NOBODY)
IPV6 = {"HOST": "::1", "GRPC_HOST": "::1", "METRICS_HOST": "::1"}
POLL_S = 30.0

pytestmark = pytest.mark.parametrize("log_name", ["postgres"])


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(PROXIES, id="proxies"),
        pytest.param(IPV6, id="ipv6", marks=pytest.mark.slow),
        pytest.param({name: f"[{host}]" for name, host in IPV6.items()}, id="brackets", marks=pytest.mark.slow),
    ],
)
async def test_what_is_said_live_and_a_signal_reach_their_ends(idle_fleet: Fleet) -> None:
    """Frames come by gRPC alone; so does the news of a signal, while nobody looks for POLL_S."""
    workflows = str(ROOT / "tests" / "journey" / "talking.py")
    idle_fleet.start(1, ARGOSY_WORKFLOWS=workflows, INBOX_INTERVAL_S=f"{POLL_S:g}")
    async with AsyncClient(idle_fleet.url) as client:
        turn = await client.submit("talk", None)
        frames = 0
        signalled_s = 0.0

        async for event in turn.events():
            frames += event.type == "frame"
            if event.type == "turn.suspended":
                signalled_s = time.monotonic()
                await turn.signal("go", "gone")
        took_s = time.monotonic() - signalled_s
        result = await turn.result(timeout_s=10)

    assert result == "gone"
    assert frames > 3
    assert took_s < POLL_S / 3


@pytest.mark.parametrize("settings", [IPV6])
async def test_everything_in_one_tree_runs_on_ipv6(idle_fleet: Fleet) -> None:
    idle_fleet.up(AGENT_DISPATCH_BACKEND="inline")

    async with AsyncClient(idle_fleet.url) as client:
        assert await client.run("echo", "hello", timeout_s=20) == "hello"
    code, told = idle_fleet.run("fleet", "--once", "--url", idle_fleet.url)
    assert (code, "alive" in told) == (0, True)

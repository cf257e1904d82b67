"""A fleet whose processes speak TLS with each other: what is said live reaches its end, and who does not is let out."""

from pathlib import Path

import pytest

from argosy.client.async_client import AsyncClient
from tests.harness.certificates import Authority
from tests.harness.fleet import Fleet
from tests.harness.processes import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["postgres"])]


async def frames_of_a_turn(url: str) -> int:
    """The frames of a turn, which come by gRPC alone, while it runs to its end."""
    async with AsyncClient(url) as client:
        turn = await client.submit("talk", None)
        frames = 0
        async for event in turn.events():
            frames += event.type == "frame"
            if event.type == "turn.suspended":
                await turn.signal("go", "gone")
        assert await turn.result(timeout_s=20) == "gone"
        return frames


async def test_a_turn_is_followed_live_through_tls_and_at_a_plain_gateway_without_frames(
    idle_fleet: Fleet, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    issued = authority.issue("worker", "DNS:argosy-worker")
    tls = {"GRPC_TLS_CERT": issued.cert, "GRPC_TLS_KEY": issued.key, "GRPC_TLS_CA": authority.ca}
    port = free_port()
    idle_fleet.gateway(PORT=str(port))  # one that was not restarted yet: it speaks no TLS

    idle_fleet.environment.update(tls)
    idle_fleet.start(1, ARGOSY_WORKFLOWS=str(ROOT / "tests" / "journey" / "talking.py"))

    assert await frames_of_a_turn(idle_fleet.url) > 3
    assert await frames_of_a_turn(f"http://127.0.0.1:{port}") == 0


def test_half_a_configuration_does_not_start(idle_fleet: Fleet) -> None:
    worker = idle_fleet.begin_worker(GRPC_TLS_CERT="/nowhere.pem")

    assert worker.wait_dead(20) == 1
    assert "GRPC_TLS_CERT and GRPC_TLS_KEY: a certificate needs its key" in worker.tail()
    assert "Traceback" not in worker.tail()

"""The client against real gateways and workers."""

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from argosy import AsyncClient, Client
from argosy.client import (
    TurnCancelledError,
    TurnEndedError,
    TurnExpiredError,
    TurnFailedError,
    TurnNotFoundError,
    TurnRejectedError,
)
from argosy.client.calls import Call
from tests.client import workflows
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port

pytestmark = pytest.mark.parametrize("log_name", ["postgres"])

WITHIN_S = 30.0


@pytest.fixture
def settings() -> dict[str, str]:
    return {"ARGOSY_WORKFLOWS": str(Path(__file__).with_name("workflows.py"))}


@pytest.fixture
def ready(idle_fleet: Fleet) -> Fleet:
    """A gateway and a worker."""
    idle_fleet.start()
    return idle_fleet


def other_gateway(fleet: Fleet) -> tuple[Managed, str]:
    """One more, and its address."""
    port = free_port()
    return fleet.gateway(PORT=str(port)), f"http://127.0.0.1:{port}"


def until(fact: Any, within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_each_end_of_a_turn_is_its_own_result_or_error(ready: Fleet, tmp_path: Path) -> None:
    with Client(ready.url) as client:
        assert client.run(workflows.adds, [1, 2, 3]) == 6

        with pytest.raises(TurnFailedError, match="LookupError: why not") as failed:
            client.run("fails", "why not")
        assert failed.value.error_type == "LookupError"

        asking = client.submit("asks", session="busy")
        with pytest.raises(TurnRejectedError, match="busy"):
            client.run("adds", [1], session="busy", on_busy="reject")
        with pytest.raises(TimeoutError, match=r"has not ended within 0.2 s; it goes on"):
            asking.result(timeout_s=0.2)
        asking.signal("answer", {"it": 42})
        assert asking.result(timeout_s=WITHIN_S) == {"answer": {"it": 42}}
        assert asking.get().workflow == "asks"

        with pytest.raises(TurnEndedError):
            asking.signal("answer", "late")
        with pytest.raises(TurnExpiredError):
            client.run("asks", deadline_s=0.2)
        with pytest.raises(TurnNotFoundError):
            client.turn(str(uuid.uuid4())).get()


def test_a_turn_that_is_cancelled_says_so_and_may_be_cancelled_again(ready: Fleet) -> None:
    with Client(ready.url) as client:
        handle = client.submit("asks")
        until(lambda: handle.get().status == "suspended")

        handle.cancel()

        with pytest.raises(TurnCancelledError):
            handle.result(timeout_s=WITHIN_S)
        handle.cancel()


def test_a_gateway_that_is_killed_in_the_middle_of_a_call_costs_no_second_turn(ready: Fleet, tmp_path: Path) -> None:
    first, (_, other_url) = ready.processes[0], other_gateway(ready)
    done = tmp_path / "done"
    with Client(ready.url, other_url) as client, ThreadPoolExecutor(1) as thread:
        running = thread.submit(client.run, "holds", str(done), session="one", timeout_s=WITHIN_S)
        with Client(other_url) as watching:
            until(lambda: _turns(watching, "one"))
            first.kill()
            done.touch()

            assert running.result(WITHIN_S) == "seen"
            assert len(_turns(watching, "one")) == 1


async def test_many_turns_from_one_loop(ready: Fleet) -> None:
    async with AsyncClient(ready.url) as client:
        sums = await asyncio.gather(*(client.run("adds", [number, 1]) for number in range(100)))

    assert sums == [number + 1 for number in range(100)]


def _turns(client: Client, session: str) -> list[Any]:
    import msgspec

    from argosy.client import ProblemError

    try:
        return list(
            msgspec.json.decode(client._asking.ask(Call("GET", f"/v1/sessions/{session}/turns")).content)["turns"]
        )
    except ProblemError:
        return []

"""What operators see of a fleet while workers come and die."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.harness.fleet import Fleet
from tests.harness.processes import Managed


def seen(look: Callable[[], Any], within_s: float = 20) -> Any:
    """The first look that is something."""
    deadline_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, look()
        time.sleep(0.1)
    return found


def partitions_on_metrics(worker: Managed) -> set[int]:
    """The partitions that it mentions; none while it mentions some in one gauge and others in another."""
    text = httpx2.get(worker.ready_url.replace("/readyz", "/metrics")).text
    gauges = [
        {int(each) for each in re.findall(rf'^argosy_partition_{name}\{{partition="(\d+)"\}}', text, re.M)}
        for name in ("epoch", "ready_sessions")
    ]
    return gauges[0] if gauges[0] == gauges[1] else set()


@pytest.mark.slow
@pytest.mark.parametrize("log_name", ["postgres"])
def test_partitions_and_signs_of_life_are_shown_as_workers_come_and_die(fleet: Fleet) -> None:
    first = fleet.worker()
    seen(lambda: partitions_on_metrics(first) == set(range(8)))
    second = fleet.worker()
    seen(lambda: len(partitions_on_metrics(first)) == len(partitions_on_metrics(second)) == 4)
    both = partitions_on_metrics(first) | partitions_on_metrics(second)
    second.kill()

    def workers() -> dict[int, dict[str, Any]]:
        return {each["pid"]: each for each in httpx2.get(f"{fleet.url}/v1/fleet").json()["workers"]}

    adopted = seen(lambda: (found := workers())[first.pid]["partition_count"] == 8 and found)
    page = httpx2.get(f"{fleet.url}/v1/fleet").json()
    owners = {each["owner"] for each in httpx2.get(f"{fleet.url}/v1/fleet/partitions").json()["partitions"]}

    assert both == set(range(8))
    assert (adopted[first.pid]["state"], adopted[second.pid]["state"]) == ("alive", "dead")
    (lane,) = page["lanes"]
    assert (lane["workers_alive"], lane["workers_dead"], lane["owner_dead"], lane["unowned"]) == (1, 1, 0, 0)
    assert owners == {adopted[first.pid]["worker_id"]}

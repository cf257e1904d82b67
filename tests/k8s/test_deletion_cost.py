"""What it costs to delete a worker, as Kubernetes is told."""

import importlib.util
from types import ModuleType
from typing import Any

import prometheus_client
import pytest

from argosy import telemetry
from tests.k8s.manifests import K8S, settings_of


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = K8S / "components" / "deletion-cost" / "deletion_cost.py"
    spec = importlib.util.spec_from_file_location("deletion_cost", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pod(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"phase": "Running", "podIP": "10.0.0.1", **status}}


def test_the_cost_of_a_worker_is_what_it_has_under_way(script: ModuleType) -> None:
    telemetry.RUNNING.set(7)
    telemetry.INGEST_HELD_BYTES.set(3 * 2**20)
    try:
        exposition = telemetry.exposition()[0].decode()
    finally:
        telemetry.RUNNING.set(0)
        telemetry.INGEST_HELD_BYTES.set(0)

    assert script.cost_of(exposition) == 10


def test_an_idle_worker_costs_nothing(script: ModuleType) -> None:
    assert script.cost_of("# HELP argosy_turns_running Turns\nargosy_turns_running 0.0\n") == 0


def test_the_metrics_that_it_asks_for_are_there(script: ModuleType) -> None:
    names = {family.name for family in prometheus_client.REGISTRY.collect()}

    assert script.SCALES.keys() <= names
    assert str(script.METRICS_PORT) == settings_of("autonomous")["METRICS_PORT"]


def test_only_pods_that_run_and_stay_are_asked(script: ModuleType) -> None:
    going = _pod("going")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    priced = _pod("priced")
    priced["metadata"]["annotations"] = {script.ANNOTATION: "4"}
    pods = [_pod("runs"), _pod("starts", phase="Pending"), _pod("has no address", podIP=""), going, priced]

    assert list(script.living({"items": pods})) == [("runs", "10.0.0.1", "0"), ("priced", "10.0.0.1", "4")]

"""Autoscalers: of what they ask, by how much they may change what, and that nobody else has a say in it."""

import re
from typing import Final

import prometheus_client
import pytest

from argosy import telemetry
from argosy.config import Settings
from tests.k8s.manifests import OVERLAYS, Manifest, named, of_kind, settings_of, workloads

SCALED: Final = ("scaled", "autonomous")
_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def _scraped_names() -> set[str]:
    """Every name under which a metric of the one table is scraped."""
    assert telemetry.RUNNING  # its import has made them
    return {
        f"{family.name}{suffix}"
        for family in prometheus_client.REGISTRY.collect()
        if family.name.startswith("argosy_")
        for suffix in _SUFFIXES.get(family.type, ("",))
    }


def _behavior(autoscaler: Manifest) -> Manifest:
    spec = autoscaler["spec"]
    found: Manifest = spec.get("behavior") or spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return found


def _setting(overlay: str, name: str) -> int:
    return int(settings_of(overlay).get(name) or Settings.model_fields[name.lower()].default)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_scaled_by_itself_has_no_number_of_replicas(overlay: str) -> None:
    autoscaled = [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
    ]

    assert sorted(autoscaled) == ([] if overlay == "single" else ["dispatch", "gateway", "ingest"])
    for each in workloads(overlay):
        if each.name in autoscaled:
            assert "replicas" not in each.manifest["spec"]


@pytest.mark.parametrize("overlay", SCALED)
@pytest.mark.parametrize(
    ("name", "partitions"), [("dispatch", "AGENT_TURNS_PARTITIONS"), ("ingest", "KG_TASKS_PARTITIONS")]
)
def test_there_are_never_more_workers_than_partitions(overlay: str, name: str, partitions: str) -> None:
    spec = named(overlay, "ScaledObject", name)["spec"]

    # The least is two: one that goes hands over to one that stays. And without one, nobody tells the lag.
    assert 2 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= _setting(overlay, partitions)


@pytest.mark.parametrize("overlay", SCALED)
def test_every_query_asks_for_metrics_that_there_are(overlay: str) -> None:
    for each in of_kind(overlay, "ScaledObject"):
        for trigger in each["spec"]["triggers"]:
            asked = set(re.findall(r"argosy_\w+", trigger["metadata"]["query"]))
            assert asked
            assert asked <= _scraped_names()


@pytest.mark.parametrize("overlay", SCALED)
def test_demand_for_workers_is_a_part_of_their_slots(overlay: str) -> None:
    demand, lag = named(overlay, "ScaledObject", "dispatch")["spec"]["triggers"]

    assert demand["metadata"]["query"].count("sum(") == 2
    assert "argosy_turns_running" in demand["metadata"]["query"]
    assert "argosy_ready_sessions" in demand["metadata"]["query"]
    assert 0 < int(demand["metadata"]["threshold"]) < _setting(overlay, "DISPATCH_SLOTS")
    assert lag["metadata"]["activationThreshold"] == "0"


@pytest.mark.parametrize("overlay", SCALED)
def test_no_answer_of_prometheus_is_no_reason_to_have_fewer(overlay: str) -> None:
    for each in of_kind(overlay, "ScaledObject"):
        spec = each["spec"]
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        for trigger in spec["triggers"]:
            assert trigger["metricType"] == "AverageValue"  # the only kind that has a fallback
            assert trigger["metadata"]["ignoreNullValues"] == "false"
            assert f'namespace="{each["metadata"]["namespace"]}"' in trigger["metadata"]["query"]


@pytest.mark.parametrize("overlay", SCALED)
def test_more_come_quickly_and_go_one_at_a_time(overlay: str) -> None:
    for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject"):
        behavior = _behavior(each)
        (down,) = behavior["scaleDown"]["policies"]

        assert behavior["scaleUp"]["stabilizationWindowSeconds"] < behavior["scaleDown"]["stabilizationWindowSeconds"]
        assert down["type"] == "Pods"
        assert down["value"] == 1
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300


@pytest.mark.parametrize("overlay", SCALED)
def test_fewer_shards_are_refused_by_the_api_server_until_they_are_drained(overlay: str) -> None:
    name = "argosy-shards-are-drained"
    policy = named(overlay, "ValidatingAdmissionPolicy", name)["spec"]
    binding = named(overlay, "ValidatingAdmissionPolicyBinding", name)["spec"]
    (rule,) = policy["matchConstraints"]["resourceRules"]

    assert policy["failurePolicy"] == "Fail"
    assert rule["resources"] == ["statefulsets", "statefulsets/scale"]
    assert binding["policyName"] == name
    assert binding["validationActions"] == ["Deny"]

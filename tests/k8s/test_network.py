"""Nothing is reached but by who needs it, and who needs it reaches it."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.k8s.manifests import COMPONENT, OVERLAYS, Manifest, Workload, named, of_kind, selects, settings_of, workloads

# Who calls whom, and at which port.
CALLS: Final = {
    ("gateway", "dispatch", "grpc"),
    ("dispatch", "dispatch", "grpc"),
    ("gateway", "shard", "grpc"),
    ("dispatch", "shard", "grpc"),
    ("ingest", "shard", "grpc"),
    ("maintenance", "shard", "grpc"),
}
# A shard that receives a graph asks the one that has it.
BETWEEN_SHARDS: Final = {("shard", "shard", "grpc")}
WITH_DATABASE: Final = {"gateway", "dispatch", "ingest", "maintenance", "setup"}


def _policies(overlay: str, labels: dict[str, str], direction: str) -> Iterator[Manifest]:
    for each in of_kind(overlay, "NetworkPolicy"):
        if direction in each["spec"]["policyTypes"] and selects(each["spec"]["podSelector"], labels):
            yield each["spec"]


def _peers_take(rule: Manifest, side: str, labels: dict[str, str]) -> bool:
    """Whether a rule is about pods of our own with these labels."""
    peers = rule.get(side)
    if peers is None:
        return True
    return any("podSelector" in peer and selects(peer["podSelector"], labels) for peer in peers)


def _has_port(rule: Manifest, name: str) -> bool:
    return any(port.get("port") == name for port in rule.get("ports", ()))


def _may(overlay: str, caller: Workload, callee: Workload, port: str) -> tuple[bool, bool]:
    """Whether a caller may send to a port of a callee, and whether that may receive it."""
    sends = any(
        _peers_take(rule, "to", callee.labels) and _has_port(rule, port)
        for spec in _policies(overlay, caller.labels, "Egress")
        for rule in spec.get("egress", ())
    )
    receives = any(
        _peers_take(rule, "from", caller.labels) and _has_port(rule, port)
        for spec in _policies(overlay, callee.labels, "Ingress")
        for rule in spec.get("ingress", ())
    )
    return sends, receives


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_allowed_unless_it_is_said(overlay: str) -> None:
    spec = named(overlay, "NetworkPolicy", "default-deny")["spec"]

    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_processes_reach_those_that_they_call_and_no_others(overlay: str) -> None:
    serving = [each for each in workloads(overlay) if each.serves]
    allowed = {
        (caller.name, callee.name, "grpc")
        for caller in serving
        for callee in serving
        if _may(overlay, caller, callee, "grpc") == (True, True)
    }
    half = {
        (caller.name, callee.name)
        for caller in serving
        for callee in serving
        if sum(_may(overlay, caller, callee, "grpc")) == 1
    }

    assert allowed == CALLS | BETWEEN_SHARDS
    assert half == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(
    ("port", "callers"),
    [(5432, WITH_DATABASE), (9093, WITH_DATABASE), (443, {"gateway", "dispatch", "deletion-cost"})],
)
def test_servers_outside_are_reached_by_those_that_use_them(overlay: str, port: int, callers: set[str]) -> None:
    reach = {
        each.labels[COMPONENT]
        for each in workloads(overlay)
        for spec in _policies(overlay, each.labels, "Egress")
        for rule in spec.get("egress", ())
        if any(allowed.get("port") == port for allowed in rule.get("ports", ()))
    }
    expected = callers & {each.name for each in workloads(overlay)}

    assert reach == (set() if overlay == "single" and port == 9093 else expected)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_port_of_kafka_is_the_one_that_is_open(overlay: str) -> None:
    servers = settings_of(overlay).get("KAFKA_BOOTSTRAP_SERVERS", "")

    assert servers == "" if overlay == "single" else servers.endswith(":9093")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_metadata_of_a_cloud_is_not_reached(overlay: str) -> None:
    for policy in of_kind(overlay, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                if "ipBlock" in peer:
                    assert "169.254.0.0/16" in peer["ipBlock"]["except"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_named_port_is_one_of_the_pods_that_are_selected(overlay: str) -> None:
    ports = {each.name: {port["name"] for port in each.container.get("ports", ())} for each in workloads(overlay)}
    asked: list[tuple[Any, str]] = []
    for policy in of_kind(overlay, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            asked += [
                (policy["spec"]["podSelector"], port["port"])
                for port in rule.get("ports", ())
                if isinstance(port["port"], str)
            ]
    asked += [
        ({"matchLabels": service["spec"]["selector"]}, port["targetPort"])
        for service in of_kind(overlay, "Service")
        for port in service["spec"]["ports"]
    ]
    asked += [
        (monitor["spec"]["selector"], endpoint["port"])
        for monitor in of_kind(overlay, "PodMonitor")
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
    ]

    assert asked
    for selector, port in asked:
        having = {each.name for each in workloads(overlay) if selects(selector, each.labels)}
        assert having, selector
        assert any(port in ports[name] for name in having), (selector, port)


@pytest.mark.parametrize("overlay", ["scaled", "autonomous"])
def test_every_process_that_serves_is_scraped_as_a_job_of_its_own(overlay: str) -> None:
    monitors = of_kind(overlay, "PodMonitor")
    for each in workloads(overlay):
        scraping = [found["metadata"]["name"] for found in monitors if selects(found["spec"]["selector"], each.labels)]
        assert scraping == ([each.name] if each.serves else [])

"""What every pod of every overlay has to have: no rights, probes that mean something, time to end, room."""

import itertools
from typing import Any, Final

import pytest
import typer

from argosy.cli.app import app
from argosy.config import Settings, load
from tests.k8s.manifests import (
    ARGOSY,
    COMPONENT,
    OVERLAYS,
    SERVING,
    Manifest,
    named,
    of_kind,
    settings_of,
    workload,
    workloads,
)

IN_OVERLAYS: Final = {"single": ARGOSY, "scaled": ARGOSY, "autonomous": (*ARGOSY, "deletion-cost")}
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


all_pods = pytest.mark.parametrize(
    ("overlay", "name"), [(overlay, name) for overlay, names in IN_OVERLAYS.items() for name in names]
)
serving_pods = pytest.mark.parametrize(("overlay", "name"), list(itertools.product(OVERLAYS, SERVING)))


def _size_bytes(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


def _tolerated_s(probe: Manifest) -> int:
    """For how long a probe fails before something follows."""
    return int((probe["failureThreshold"] - 1) * probe["periodSeconds"])


def _settings(overlay: str) -> Settings:
    """What an overlay says to all processes, and the defaults of the rest."""
    return load({**settings_of(overlay), "ARGOSY_CONFIG_DIR": "/nowhere"})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_has_every_process(overlay: str) -> None:
    assert sorted(each.name for each in workloads(overlay)) == sorted(IN_OVERLAYS[overlay])


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", ARGOSY)
def test_what_a_container_runs_is_a_command(overlay: str, name: str) -> None:
    command: Any = typer.main.get_command(app)
    words = list(workload(overlay, name).container["args"])
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]

    command.make_context(name, words)  # raises for an option that it does not have


@all_pods
def test_every_pod_is_of_the_restricted_level(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    pod, container = found.pod, found.container
    security = container["securityContext"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {
        "configMap",
        "emptyDir",
        "projected",
        "secret",
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_enforces_the_restricted_level(overlay: str) -> None:
    labels = named(overlay, "Namespace", "argosy")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@all_pods
def test_only_what_asks_the_cluster_has_a_token_of_it(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    account = named(overlay, "ServiceAccount", found.pod["serviceAccountName"])
    bound = {
        subject["name"]
        for binding in of_kind(overlay, "RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
    }

    assert account["automountServiceAccountToken"] is False
    assert found.pod["automountServiceAccountToken"] is (found.name in bound)
    assert found.pod["enableServiceLinks"] is False  # a Service `gateway` would be a variable of every process


@all_pods
def test_what_a_pod_may_take_is_bounded(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    resources = found.container["resources"]

    assert {"cpu", "memory", "ephemeral-storage"} <= resources["requests"].keys()
    assert {"memory", "ephemeral-storage"} <= resources["limits"].keys()
    assert "cpu" not in resources["limits"]  # heartbeats that wait for a quota look like a death
    for volume in found.pod["volumes"]:
        if "emptyDir" in volume:
            assert _size_bytes(volume["emptyDir"]["sizeLimit"]) <= _size_bytes(resources["limits"]["ephemeral-storage"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_shard_has_the_memory_that_its_bounds_add_up_to(overlay: str) -> None:
    shard = workload(overlay, "shard")
    settings = _settings(overlay)
    needed = (
        settings.shard_views_size_bytes_max
        + settings.shard_cache_size_bytes_max
        + settings.shard_vectors_size_bytes_max
        + settings.shard_queue_size_bytes_max
        + 4 * settings.shard_requests_size_bytes_max
        + settings.shard_views_max * settings.shard_view_behind_size_bytes_max
        + 2 * settings.shard_calls_max * 65_536
        + settings.shard_streams_max * settings.shard_message_size_bytes_max
    )

    assert _size_bytes(shard.container["resources"]["limits"]["memory"]) >= needed


@serving_pods
def test_probes_ask_what_they_are_for(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    container = found.container
    ports = {port["name"] for port in container["ports"]}

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
        # A gateway waits for a second for Postgres before it answers, and a loop that is late is told by a thread.
        assert container[probe]["timeoutSeconds"] >= 3
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["startupProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == "/healthz"


@serving_pods
def test_a_busy_process_ends_itself_before_a_probe_ends_it(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    liveness = found.container["livenessProbe"]
    settings = _settings(overlay)

    assert _tolerated_s(liveness) > settings.loop_stuck_s
    # What is stuck has no work to end in order, and its successors wait.
    assert liveness["terminationGracePeriodSeconds"] <= 60
    # Processes wait for what comes up last, shards among it, and say so themselves when that takes too long.
    assert _tolerated_s(found.container["startupProbe"]) > settings.argosy_ready_s


@serving_pods
def test_who_is_told_to_end_has_the_time_for_it(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    settings = _settings(overlay)
    paused_s = found.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needed_s = {
        "gateway": settings.gateway_stop_s + 10,
        "shard": settings.shard_stop_s + 10,
        "maintenance": 10,
    }.get(found.name, settings.stop_s)

    assert found.pod["terminationGracePeriodSeconds"] > needed_s + paused_s
    assert (paused_s > 0) is (found.name == "gateway")  # proxies hear of it late, and it serves them meanwhile


@serving_pods
def test_replicas_are_spread_and_disturbed_a_few_at_a_time(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    spread = {each["topologyKey"]: each for each in found.pod["topologySpreadConstraints"]}
    budget = named(overlay, "PodDisruptionBudget", found.name)["spec"]

    assert spread.keys() == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for each in spread.values():
        assert each["labelSelector"]["matchLabels"] == found.manifest["spec"]["selector"]["matchLabels"]
    assert budget["selector"]["matchLabels"] == found.manifest["spec"]["selector"]["matchLabels"]
    # With minAvailable a node with the last replica, or with a pod that is never ready, could not be drained.
    assert "minAvailable" not in budget
    assert budget["maxUnavailable"] in (1, "10%")
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@serving_pods
def test_selectors_take_the_pods_that_they_are_for_and_no_others(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    selector = found.manifest["spec"]["selector"]["matchLabels"]
    taken = [each.name for each in workloads(overlay) if selector.items() <= each.labels.items()]

    assert taken == [found.name]
    assert found.labels[COMPONENT] == found.name


@serving_pods
def test_a_new_version_comes_before_the_old_one_goes(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    spec = found.manifest["spec"]
    if found.kind == "Deployment":
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert spec["progressDeadlineSeconds"] > found.pod["terminationGracePeriodSeconds"]
    assert spec["minReadySeconds"] > 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_shard_keeps_its_folder_and_its_name(overlay: str) -> None:
    shard = workload(overlay, "shard")
    spec = shard.manifest["spec"]
    service = named(overlay, "Service", spec["serviceName"])["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    (mounted,) = (each for each in shard.container["volumeMounts"] if each["name"] == claim["metadata"]["name"])

    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"].items() <= shard.labels.items()
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert mounted["mountPath"] == settings_of(overlay)["ARGOSY_DATA_DIR"]


@all_pods
def test_the_reason_of_a_refused_start_is_shown(overlay: str, name: str) -> None:
    found = workload(overlay, name)
    assert found.container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_setup_waits_and_can_be_made_again(overlay: str) -> None:
    found = workload(overlay, "setup")
    spec, args = found.manifest["spec"], found.container["args"]
    annotations = found.manifest["metadata"]["annotations"]

    assert args[0] == "setup"
    assert 2 * int(args[args.index("--wait") + 1]) < spec["activeDeadlineSeconds"]  # Postgres, and then the log
    assert found.pod["restartPolicy"] == "OnFailure"
    assert annotations["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    assert annotations["kustomize.toolkit.fluxcd.io/force"] == "enabled"

"""Every variable of every container is a setting, all together are a start, and no secret stands in a manifest."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from argosy.config import Settings, load, secret_names
from tests.k8s.manifests import ARGOSY, OVERLAYS, Workload, manifests, named, of_kind, settings_of, workload, workloads

every = pytest.mark.parametrize(("overlay", "name"), list(itertools.product(OVERLAYS, ARGOSY)))
# Secrets that somebody else makes: an operator of what is in the cluster.
MADE: Final = {
    "single": set[str](),
    "scaled": set[str](),
    "autonomous": {"postgres-app", "argosy-cluster-ca-cert"},
}
# Secrets that are to be there before the overlay is applied (docs/kubernetes.md).
GIVEN: Final = {
    "single": {"argosy-database", "argosy-database-maintenance", "argosy-database-owner", "argosy-fleet"},
    "scaled": {
        "argosy-database",
        "argosy-database-maintenance",
        "argosy-database-owner",
        "argosy-fleet",
        "argosy-kafka",
    },
    "autonomous": set[str](),
}


def _environment(overlay: str, made: Workload) -> dict[str, str]:
    """The environment of a container: what is `env` wins over what is `envFrom`."""
    environ = dict(settings_of(overlay))
    for each in made.container.get("env", ()):
        field = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        if field == "status.podIP":
            environ[each["name"]] = "10.1.2.3"
        elif field.startswith("metadata.labels["):
            environ[each["name"]] = made.labels[field.split("'")[1]]
        else:
            environ[each["name"]] = each["value"]
    return environ


def _mounted_files(made: Workload) -> Iterator[str]:
    """Yield the path of each file that a Secret brings."""
    folders = {each["name"]: each["mountPath"] for each in made.container["volumeMounts"]}
    for volume in made.pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            yield from (f"{folders[volume['name']]}/{item['path']}" for item in source["secret"]["items"])
        if volume.get("secret", {}).get("secretName") == "argosy-tls":
            yield from (f"{folders[volume['name']]}/{name}" for name in ("tls.crt", "tls.key", "ca.crt"))


def _secrets_named(found: Any) -> Iterator[str]:
    """Yield the name of each Secret that a pod of Argosy needs."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in ("secret", "secretKeyRef"):
                yield value.get("name") or value["secretName"]
            else:
                yield from _secrets_named(value)
    elif isinstance(found, list):
        for each in found:
            yield from _secrets_named(each)


@every
def test_every_variable_is_a_setting(overlay: str, name: str) -> None:
    known = {each.upper() for each in Settings.model_fields}
    known |= {f"{each.upper()}_FILE" for each in secret_names()}

    assert sorted(_environment(overlay, workload(overlay, name)).keys() - known) == []


@every
def test_they_are_a_start_together(overlay: str, name: str, tmp_path: Path) -> None:
    environ = _environment(overlay, workload(overlay, name))
    (tmp_path / "secret").write_text("a secret of thirty-two characters or more\n")
    in_files = {each: str(tmp_path / "secret") for each in environ if each.endswith("_FILE")}

    settings = load({**environ, **in_files, "ARGOSY_CONFIG_DIR": str(tmp_path)})

    assert settings.kg_auth_required
    assert settings.kg_brain_enforce
    assert settings.log_format == "json"
    assert settings.agent_dispatch_backend == "queue"
    assert settings.log_backend == ("postgres" if overlay == "single" else "kafka")


@every
def test_what_settings_name_is_mounted(overlay: str, name: str) -> None:
    files = set(_mounted_files(workload(overlay, name)))
    environ = _environment(overlay, workload(overlay, name))
    if name == "shard":  # it knows no log
        environ = {each: value for each, value in environ.items() if not each.startswith("KAFKA_")}
    named_files = {value for value in environ.values() if value.startswith("/etc/")}

    assert named_files <= files
    assert {path for path in files if path.startswith("/etc/argosy/secrets/")} <= named_files


@every
def test_ports_are_those_of_the_settings(overlay: str, name: str) -> None:
    environ = _environment(overlay, workload(overlay, name))
    ports = {each["name"]: str(each["containerPort"]) for each in workload(overlay, name).container.get("ports", ())}
    expected = {
        "gateway": {"http": environ["PORT"], "metrics": environ["METRICS_PORT"]},
        "dispatch": {"grpc": environ["GRPC_PORT"], "metrics": environ["METRICS_PORT"]},
        "shard": {"grpc": environ["SHARD_PORT"], "metrics": environ["METRICS_PORT"]},
        "setup": {},
    }.get(name, {"metrics": environ["METRICS_PORT"]})

    assert ports == expected
    assert "0" not in ports.values()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_worker_announces_its_own_address(overlay: str) -> None:
    environ = _environment(overlay, workload(overlay, "dispatch"))

    assert environ["GRPC_HOST"] == "10.1.2.3"
    assert environ["LANE"] == "default"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_shard_is_an_endpoint_at_its_ordinal(overlay: str) -> None:
    spec = named(overlay, "StatefulSet", "shard")["spec"]
    service = named(overlay, "Service", spec["serviceName"])
    (port,) = service["spec"]["ports"]
    settings = settings_of(overlay)

    assert settings["GRAPH_SERVICE_ENDPOINTS"].split(",") == [
        f"tcp://shard-{ordinal}.{service['metadata']['name']}:{port['port']}" for ordinal in range(spec["replicas"])
    ]
    assert settings["SHARD_PORT"] == str(port["port"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_shard_on_another_machine_has_tls_or_is_told_to_do_without(overlay: str) -> None:
    settings = settings_of(overlay)

    assert settings["SHARD_HOST"] == "0.0.0.0"  # noqa: S104
    assert (settings["SHARD_ALLOW_REMOTE"] == "1") is ("GRPC_TLS_CERT" not in settings)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_stands_in_a_manifest_and_every_one_that_is_named_comes_from_somewhere(overlay: str) -> None:
    needed = {name for each in workloads(overlay) for name in _secrets_named(each.pod)}
    cluster = of_kind(overlay, "Cluster")
    needed |= {role["passwordSecret"]["name"] for each in cluster for role in each["spec"]["managed"]["roles"]}
    made = {each["spec"]["target"]["name"] for each in of_kind(overlay, "ExternalSecret")}
    made |= {each["spec"]["secretName"] for each in of_kind(overlay, "Certificate")} - {"argosy-ca"}
    made |= {each["metadata"]["name"] for each in of_kind(overlay, "KafkaUser")}

    assert of_kind(overlay, "Secret") == []
    assert needed == made | MADE[overlay] | GIVEN[overlay]
    assert [name for name in secret_names() if name.upper() in settings_of(overlay)] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_process_gets_the_address_of_the_role_that_it_has(overlay: str) -> None:
    owner = "postgres-app" if overlay == "autonomous" else "argosy-database-owner"
    expected = {"maintenance": "argosy-database-maintenance", "setup": owner, "shard": ""}
    for each in workloads(overlay):
        if each.container["name"] == "argosy":
            named_secrets = set(_secrets_named(each.pod))
            databases = {name for name in named_secrets if "database" in name or name.startswith("postgres")}
            assert databases == {expected.get(each.name, "argosy-database")} - {""}, each.name


@pytest.mark.parametrize("overlay", ["scaled", "autonomous"])
def test_the_host_of_the_route_is_one_that_gateways_answer_to(overlay: str) -> None:
    settings = settings_of(overlay)
    (host,) = named(overlay, "HTTPRoute", "argosy")["spec"]["hostnames"]

    assert settings["GATEWAY_HOSTS"] == host
    assert settings["GATEWAY_PUBLIC_URL"] == f"https://{host}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_is_in_one_namespace_or_is_the_clusters(overlay: str) -> None:
    of_the_cluster = {"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for each in manifests(overlay):
        expected = None if each["kind"] in of_the_cluster else "argosy"
        assert each["metadata"].get("namespace") == expected, each["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_processes_run_one_image(overlay: str) -> None:
    images = {each.container["image"] for each in workloads(overlay)}

    assert len(images) == 1
    assert not images.pop().endswith((":latest", "argosy"))

"""The manifests of k8s/ as kustomize builds them, and what they say of pods."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from tests.harness.go_tools import NoToolError, built, built_already

ROOT: Final = Path(__file__).parents[2]
K8S: Final = ROOT / "k8s"
OVERLAYS: Final = ("single", "scaled", "autonomous")
SERVING: Final = ("gateway", "dispatch", "ingest", "maintenance", "shard")
ARGOSY: Final = (*SERVING, "setup")
COMPONENT: Final = "app.kubernetes.io/component"
_KUSTOMIZE: Final = ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5")
# Kinds that make pods, and where in them the template of a pod is.
_TEMPLATES: Final = {
    "Deployment": ("template",),
    "StatefulSet": ("template",),
    "Job": ("template",),
    "CronJob": ("jobTemplate", "spec", "template"),
}

Manifest = dict[str, Any]


class Workload(NamedTuple):
    """What makes pods. template: of its pods."""

    kind: str
    name: str
    manifest: Manifest
    template: Manifest

    @property
    def pod(self) -> Manifest:
        spec: Manifest = self.template["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def container(self) -> Manifest:
        """The one container of its pods."""
        (only,) = self.pod["containers"]
        found: Manifest = only
        return found

    @property
    def serves(self) -> bool:
        """Whether its pods are there to stay."""
        return self.kind in ("Deployment", "StatefulSet")


@cache
def manifests(overlay: str) -> tuple[Manifest, ...]:
    """Build an overlay. Skips the test when there is nothing to build it with."""
    result = subprocess.run(
        [*_kustomize(), str(K8S / "overlays" / overlay)], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return tuple(yaml.load_all(result.stdout, Loader=yaml.CSafeLoader))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    """Return the manifests of these kinds, in the order of the build."""
    return [each for each in manifests(overlay) if each["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Manifest:
    (found,) = (each for each in of_kind(overlay, kind) if each["metadata"]["name"] == name)
    return found


def workloads(overlay: str) -> Iterator[Workload]:
    """Yield all that makes pods of Argosy's own."""
    for each in of_kind(overlay, *_TEMPLATES):
        template = each["spec"]
        for step in _TEMPLATES[each["kind"]]:
            template = template[step]
        yield Workload(each["kind"], each["metadata"]["name"], each, template)


def workload(overlay: str, name: str) -> Workload:
    (found,) = (each for each in workloads(overlay) if each.name == name)
    return found


def settings_of(overlay: str) -> dict[str, str]:
    """Return what the ConfigMap that all processes have says."""
    (found,) = (each for each in of_kind(overlay, "ConfigMap") if each["metadata"]["name"].startswith("settings-"))
    data: dict[str, str] = found["data"]
    return data


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a selector of labels takes what has these."""
    for each in selector.get("matchExpressions", ()):
        assert each["operator"] == "In"
        if labels.get(each["key"]) not in each["values"]:
            return False
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


@cache
def _kustomize() -> tuple[str, ...]:
    """Return the command that builds a folder: what was built, or what is installed, or what can be built now."""
    if path := built_already(*_KUSTOMIZE):
        return (str(path), "build")
    if kubectl := shutil.which("kubectl"):
        shown = subprocess.run([kubectl, "kustomize", "--help"], capture_output=True, check=False, timeout=60)
        if shown.returncode == 0:
            return (kubectl, "kustomize")
    try:
        return (str(built(*_KUSTOMIZE)), "build")
    except NoToolError as error:
        pytest.skip(f"there is no kubectl, and no kustomize: {error}")

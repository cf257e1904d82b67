"""What others' linters and schemas say of k8s/: nothing."""

import json
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource

from tests.k8s.manifests import K8S, OVERLAYS, Manifest, manifests

VERSION: Final = "1.37.0"
# Kinds of others, whose schemas are their custom resource definitions: `make test-k8s` asks a real API server.
OF_OTHERS: Final = {
    "cert-manager.io/v1",
    "external-secrets.io/v1",
    "gateway.networking.k8s.io/v1",
    "kafka.strimzi.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
    "postgresql.cnpg.io/v1",
}


@cache
def _schema(kind: str, version: str) -> jsonschema.Draft202012Validator:
    """The strict schema of a kind: it takes no field that it does not know."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local-strict"
    group = version.split("/")[0].split(".")[0]
    suffix = f"{group}-{version.split('/')[1]}" if "/" in version else version
    schema = json.loads((folder / f"{kind.lower()}-{suffix}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=_definitions(str(folder)))


@cache
def _definitions(folder: str) -> "Registry[Any]":
    content = json.loads((Path(folder) / "_definitions.json").read_text())
    definitions: Resource[Any] = Resource.from_contents(content)
    registry: Registry[Any] = Registry()
    return registry.with_resources([("_definitions.json", definitions), (definitions.id() or "", definitions)])


def _errors(manifest: Manifest) -> list[str]:
    found = _schema(manifest["kind"], manifest["apiVersion"]).iter_errors(manifest)
    return [f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}" for error in found]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_one_by_its_strict_schema(overlay: str) -> None:
    own = [each for each in manifests(overlay) if each["apiVersion"] not in OF_OTHERS]

    assert len(own) > 20
    assert [error for each in own for error in _errors(each)] == []


def test_the_schemas_find_a_misspelled_field() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 80}], "slector": {}},
    }

    assert len(_errors(service)) == 1


def test_yamllint_finds_nothing() -> None:
    program = Path(sys.executable).parent / "yamllint"
    result = subprocess.run(
        [str(program), "--strict", "--config-file", str(K8S / ".yamllint"), str(K8S)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (result.returncode, result.stdout) == (0, "")


def test_every_file_is_part_of_something() -> None:
    """A manifest that no kustomization names is applied by nobody."""
    named = set()
    for path in K8S.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text())
        for key in ("resources", "components"):
            named |= {(path.parent / each).resolve() for each in content.get(key, ())}
        named |= {(path.parent / each["path"]).resolve() for each in content.get("patches", ()) if "path" in each}
        for generator in content.get("configMapGenerator", ()):
            named |= {(path.parent / each).resolve() for key in ("files", "envs") for each in generator.get(key, ())}
    files_there = {
        path
        for path in K8S.rglob("*")
        if path.is_file()
        and path.name not in ("kustomization.yaml", ".yamllint", "prometheus_rule.py")
        and "__pycache__" not in path.parts
    }

    assert files_there <= named

"""The operator of Prometheus gets the rules of deploy/, to the letter; they are about the jobs that monitors make."""

import importlib.util
import re
from types import ModuleType
from typing import Any, Final

import pytest
import yaml

from tests.k8s.manifests import K8S, ROOT, named, of_kind

FOLDER: Final = K8S / "components" / "monitoring"
RULES: Final = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prometheus_rule", FOLDER / "prometheus_rule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_the_one_of_today(script: ModuleType) -> None:
    assert (FOLDER / "rules.yaml").read_text() == script.prometheus_rule()


@pytest.mark.parametrize("overlay", ["scaled", "autonomous"])
def test_the_operator_gets_every_rule(overlay: str) -> None:
    groups: list[dict[str, Any]] = []
    for path in RULES:
        groups += yaml.safe_load(path.read_text())["groups"]

    assert sum(len(group["rules"]) for group in groups) > 20
    assert named(overlay, "PrometheusRule", "argosy")["spec"]["groups"] == groups


@pytest.mark.parametrize("overlay", ["scaled", "autonomous"])
def test_rules_about_jobs_are_about_those_that_monitors_make(overlay: str) -> None:
    """A job is called as the namespace and the name of its monitor are."""
    jobs = [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in of_kind(overlay, "PodMonitor")]
    patterns = {pattern for path in RULES for pattern in re.findall(r'job=~"([^"]+)"', path.read_text())}

    assert patterns
    assert [(job, pattern) for job in jobs for pattern in patterns if not re.fullmatch(pattern, job)] == []

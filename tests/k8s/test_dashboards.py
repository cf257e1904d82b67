"""Grafana in a cluster gets every dashboard of deploy/, to the letter."""

import pytest

from tests.k8s.manifests import ROOT, named

FILES = {path.name: path.read_text() for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")}


@pytest.mark.parametrize("overlay", ["scaled", "autonomous"])
def test_grafana_gets_every_dashboard(overlay: str) -> None:
    manifest = named(overlay, "ConfigMap", "argosy-dashboards")

    assert len(FILES) == 4
    assert manifest["data"] == FILES
    assert manifest["metadata"]["labels"]["grafana_dashboard"] == "1"

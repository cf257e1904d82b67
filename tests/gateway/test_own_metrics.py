"""Which ports the processes of a gateway have for their metrics."""

from typing import Any

import pytest

from argosy.config import load
from argosy.errors import SettingError
from argosy.gateway.own_metrics import ports_of


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        ({}, []),
        ({"gateway_workers": 3}, [0]),
        ({"metrics_port": 9100}, [9100]),
        ({"metrics_port": 9100, "gateway_workers": 3}, [9100, 9101, 9102]),
        ({"metrics_port": 9100, "gateway_workers": 2, "agent_dispatch_backend": "inline"}, [9101, 9102]),
    ],
)
def test_each_process_has_one(given: dict[str, Any], ports: list[int]) -> None:
    queue = {"agent_dispatch_backend": "queue", "state_db_uri": "postgresql://nowhere/x"}

    assert list(ports_of(load({}, **queue | given))) == ports


def test_there_must_be_so_many() -> None:
    given: dict[str, Any] = {"agent_dispatch_backend": "queue", "state_db_uri": "postgresql://nowhere/x"}

    with pytest.raises(SettingError, match="METRICS_PORT=65535: GATEWAY_WORKERS=2 processes need as many ports"):
        ports_of(load({}, metrics_port=65_535, gateway_workers=2, **given))

"""Hosts and ports are written as others read them, and bound where they say."""

import json
import socket
import urllib.request
from pathlib import Path

import pytest

from argosy import config
from argosy.address import bare_host, host_port, http_url, shard_target, to_bind
from argosy.process.ops_server import Answer, OpsServer


class Healthy:
    """See Probes."""

    def health(self) -> Answer:
        return True, {"is": "so"}

    def ready(self) -> Answer:
        return True, {}


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("127.0.0.1", "127.0.0.1:80"),
        ("a.example", "a.example:80"),
        ("::1", "[::1]:80"),
        ("fe80::1%eth0", "[fe80::1%eth0]:80"),
    ],
)
def test_an_ipv6_address_has_brackets_where_a_port_follows(host: str, written: str) -> None:
    assert host_port(host, 80) == written
    assert http_url(host, 80, "/x") == f"http://{written}/x"
    assert bare_host(f"[{host}]") == bare_host(host) == host


@pytest.mark.parametrize("setting", ["HOST", "GRPC_HOST", "METRICS_HOST"])
def test_a_host_may_be_given_with_brackets(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = config.load({"ARGOSY_CONFIG_DIR": str(tmp_path), setting: "[::1]"})

    assert getattr(settings, setting.lower()) == "::1"


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("localhost", socket.AF_INET), ("::1", socket.AF_INET6), ("::", socket.AF_INET6)],
)
def test_a_socket_can_be_bound_to_what_a_host_means(host: str, family: socket.AddressFamily) -> None:
    found, address = to_bind(host, 0)

    assert found is family
    with socket.socket(found) as bound:
        bound.bind(address)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "127.0.0.1.1.1", "x" * 300])
def test_what_is_no_host_is_an_error_with_words(host: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 — whichever the system has for it
        to_bind(host, 0)

    assert caught.value.strerror


def test_health_is_served_on_ipv6() -> None:
    server = OpsServer("::1", 0, Healthy())
    server.start()
    try:
        with urllib.request.urlopen(http_url("::1", server.port, "/healthz"), timeout=5) as answer:  # noqa: S310
            assert json.load(answer) == {"is": "so"}
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("tcp://kg-shard-1.example.internal:9101", "kg-shard-1.example.internal:9101"),
        ("127.0.0.1:9010", "127.0.0.1:9010"),
        ("tcp://[::1]:9010", "[::1]:9010"),
        ("unix:/run/argosy/shard.sock", "unix:/run/argosy/shard.sock"),
    ],
)
def test_an_endpoint_of_a_shard_is_a_target_of_grpc(endpoint: str, target: str) -> None:
    assert shard_target(endpoint) == target


@pytest.mark.parametrize("endpoint", ["", "host", "host:0", "host:65536", "http://host:1", "unix:relative", "a b:1"])
def test_what_is_no_endpoint_of_a_shard_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="no endpoint of a shard"):
        shard_target(endpoint)

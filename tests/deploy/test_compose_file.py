"""The compose file holds what it promises, before any engine has seen it."""

import re
from typing import Any, Final

import pytest
import yaml

from argosy import config
from argosy.cli.app import app as argosy_app
from argosy.config import Settings
from argosy.config.sources import LADDER_NAMES_WITHOUT_USE
from tests.deploy.compose_file import DEPLOY, GIVEN, RUNGS, environment, own, services

# Not settings of Argosy: keys of providers of models, which workflows read.
OF_OTHERS: Final = re.compile(r"\w+_API_KEY|OPENAI_BASE_URL")
ONE_SHOT: Final = {"setup"}
OF_RUNG: Final = [(name, rung) for name, service in own().items() for rung in RUNGS if rung in service["profiles"]]


@pytest.mark.parametrize("name", services())
def test_a_container_has_no_rights_and_a_bound_for_everything(name: str) -> None:
    service = services()[name]
    limits = service["deploy"]["resources"]["limits"]

    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else [])
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is not name.startswith("kafka-")
    assert not service.get("privileged")
    assert set(limits) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")


@pytest.mark.parametrize("name", services())
def test_an_image_has_a_version_and_a_service_a_rung(name: str) -> None:
    service = services()[name]

    assert re.search(r":v?\d+\.\d+(\.\d+)?\}?$", service["image"]), service["image"]
    assert set(service["profiles"]) <= set(RUNGS)


@pytest.mark.parametrize("name", sorted(set(services()) - ONE_SHOT))
def test_a_service_says_whether_it_is_healthy(name: str) -> None:
    healthcheck = services()[name]["healthcheck"]

    assert healthcheck["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(healthcheck)


@pytest.mark.parametrize("name", own())
def test_a_process_of_ours_may_take_as_long_to_end_as_a_worker_may_need(name: str) -> None:
    assert services()[name]["stop_grace_period"] == f"{Settings().stop_s:g}s"


@pytest.mark.parametrize("name", own())
def test_a_process_of_ours_is_a_command_of_ours(name: str) -> None:
    import typer

    commands = typer.main.get_command(argosy_app).commands  # type: ignore[attr-defined]

    assert services()[name]["command"][0] in commands


@pytest.mark.parametrize(("name", "rung"), OF_RUNG)
def test_a_process_starts_with_the_settings_of_its_rung(name: str, rung: str) -> None:
    given = environment(name, rung)
    known = {each.upper() for each in Settings.model_fields} | {
        f"{each.upper()}_FILE" for each in config.secret_names()
    }
    unknown = {each for each in given if not OF_OTHERS.fullmatch(each)} - known - LADDER_NAMES_WITHOUT_USE

    settings = config.load(given)  # raises for what contradicts itself

    assert unknown == set()
    assert settings.log_backend == ("kafka" if rung in "de" else "postgres")
    assert bool(settings.state_db_uri) is (rung != "b" and not name.startswith("shard-"))
    assert settings.kg_auth_required
    assert settings.graph_service_auth_secret == GIVEN["GRAPH_SERVICE_AUTH_SECRET"]
    assert (len(settings.graph_service_endpoints) == 3) is (rung in "de" and not name.startswith("shard-"))


def test_no_secret_stands_in_the_file() -> None:
    found = {
        (name, key): value
        for name, service in services().items()
        for key, value in service.get("environment", {}).items()
        if re.search("SECRET|PASSWORD|TOKEN|KEY$", key) and not str(value).startswith("${")
    }

    assert found == {}


@pytest.mark.parametrize("missing", ["GRAPH_SERVICE_AUTH_SECRET", "ADMIN_TOKEN"])
def test_a_secret_that_is_not_given_is_asked_for(missing: str) -> None:
    assert re.search(r"\$\{" + missing + r":\?[^}]+\}", (DEPLOY / "compose.yaml").read_text())
    assert f"\n{missing}=\n" in (DEPLOY / ".env.example").read_text()


def test_what_is_published_is_for_this_machine_alone_unless_it_is_said() -> None:
    published = {port for service in services().values() for port in service.get("ports", ())}

    assert published
    assert all(port.startswith(("127.0.0.1:", "${LISTEN:-127.0.0.1}:")) for port in published)


def test_kafka_keeps_three_copies_and_takes_a_record_when_two_have_it() -> None:
    nodes = {name: service["environment"] for name, service in services().items() if name.startswith("kafka-")}

    assert len(nodes) == 3
    assert {each["KAFKA_NODE_ID"] for each in nodes.values()} == {"1", "2", "3"}
    for name, given in nodes.items():
        assert given["KAFKA_DEFAULT_REPLICATION_FACTOR"] == "3"
        assert given["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
        assert given["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        assert {each.split("@")[1].split(":")[0] for each in given["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")} == set(
            nodes
        )


def test_prometheus_asks_what_is_there() -> None:
    scraped: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    asked = {
        (name, port)
        for job in scraped
        for discovery in job.get("dns_sd_configs", ())
        for name, port in ((name, discovery["port"]) for name in discovery["names"])
    } | {
        (target.split(":")[0], int(target.split(":")[1]))
        for job in scraped
        for group in job.get("static_configs", ())
        for target in group["targets"]
    }
    ours = {name for name, service in own().items() if "d" in service["profiles"]} - ONE_SHOT

    assert {name for name, port in asked if port == 9100} == ours
    assert all(environment(name, "d")["METRICS_PORT"] == "9100" for name in ours)
    assert {name for name, _ in asked} - ours - {"localhost"} <= set(services())


def test_caddy_knows_every_gateway() -> None:
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    (upstreams,) = re.findall(r"reverse_proxy ([^{]+) \{", text)

    assert set(upstreams.split()) == {f"{name}:9000" for name in services() if name.startswith("gateway-")}
    assert "flush_interval -1" in text


def test_grafana_finds_its_dashboards_and_their_prometheus() -> None:
    grafana, folder = services()["grafana"], DEPLOY / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "argosy.yaml").read_text())["providers"]
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in grafana["volumes"]}

    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
    assert mounted[provider["options"]["path"]] == "./grafana/dashboards"
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in grafana["depends_on"]

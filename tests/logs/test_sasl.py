"""Kafka by TLS with logins: who may do what, by the commands that the page of security has, and what a refusal says."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from tests.conftest import open_folder
from tests.harness.fleet import Fleet
from tests.harness.processes import ROOT, free_port
from tests.logs.sasl_broker import MECHANISM, SaslBroker, sasl_broker

pytestmark = pytest.mark.slow

USERS = ("gateway", "worker", "maintain", "operator")
COMMANDS = re.findall(r"^kafka-acls\.sh .*$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)


def password(user: str) -> str:
    return f"canary-of-{user}"


@pytest.fixture(scope="module")
def broker() -> Iterator[SaslBroker]:
    with open_folder() as folder, sasl_broker(folder) as made:
        for user in USERS:
            made.add_user(f"argosy-{user}", password(user))
        for command in COMMANDS:
            made.allow(command)
        yield made


@pytest.fixture
def fleet(broker: SaslBroker, database: str, tmp_path: Path) -> Iterator[Fleet]:
    """With the names that settings have by default, as in the commands."""
    made = Fleet(tmp_path / "fleet", database, broker.bootstrap)
    for name in ("KAFKA_TOPIC_PREFIX", "KAFKA_GROUP", "INGEST_TOPIC", "KAFKA_INGEST_GROUP"):
        del made.environment[name]
    try:
        yield made
    finally:
        print(made.logs())
        made.stop()


def client_of(broker: SaslBroker, user: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": broker.bootstrap,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": broker.ca,
        "sasl.mechanism": MECHANISM,
        "sasl.username": f"argosy-{user}",
        "sasl.password": password(user),
    }


def may_read(broker: SaslBroker, user: str, topic: str) -> bool:
    consumer = Consumer(
        client_of(broker, user) | {"group.id": f"agent-dispatch.{user}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            if (message := consumer.poll(0.5)) is None:
                continue
            if message.error() is None:
                return True
            if message.error().code() in (
                KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED
            ):  # fmt: skip
                return False
        raise AssertionError("neither a record nor a refusal came")
    finally:
        consumer.close()


def may_write(broker: SaslBroker, user: str, topic: str) -> bool:
    said: list[KafkaError | None] = []
    producer = Producer(client_of(broker, user) | {"message.timeout.ms": 10_000})
    try:
        producer.produce(topic, b"", on_delivery=lambda error, _: said.append(error))
        while producer.flush(5):  # until the record is delivered, refused, or too old
            pass
    except KafkaException as error:
        said.append(error.args[0])
    assert len(said) == 1
    assert said[0] is None or said[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, said
    return said[0] is None


def test_each_process_does_with_its_login_what_it_is_for_and_nothing_else(fleet: Fleet, broker: SaslBroker) -> None:
    def settings(user: str) -> dict[str, str]:
        return broker.settings(f"argosy-{user}", password(user))

    assert fleet.start_process("migrate", ["migrate"], 0, {}).wait_dead(30) == 0
    assert fleet.start_process("topics", ["topics"], 0, settings("operator")).wait_dead(30) == 0
    fleet.gateway(**settings("gateway"))
    fleet.worker(**settings("worker"))
    fleet.begin_ingest_worker(**settings("worker")).wait_ready()
    port = free_port()
    own = {"METRICS_PORT": str(port), "TRIM_LAG_S": "0", "MAINTENANCE_TICK_S": "0.2", **settings("maintain")}
    fleet.start_process("maintain", ["maintain"], port, own, "METRICS_HOST").wait_ready()

    body = json.dumps({"workflow": "echo", "input": "hello"}).encode()
    headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
    request = urllib.request.Request(f"{fleet.url}/v1/sessions/s/turns", body, headers, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answered:  # noqa: S310
        assert json.load(answered)["result"] == "hello"
    assert not may_read(broker, "gateway", "turns.default")
    assert not may_write(broker, "worker", "turns.default")
    assert not may_write(broker, "maintain", "turns.default")
    assert may_write(broker, "gateway", "ingest")
    assert not [user for user in USERS if password(user) in fleet.logs()]
    assert "AUTHORIZATION_FAILED" not in fleet.logs()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"KAFKA_SASL_PASSWORD": "canary-wrong"}, "Authentication failed"),
        ({"KAFKA_SSL_CA_LOCATION": ""}, "certificate"),
    ],
)
def test_a_start_that_brokers_refuse_is_one_line_that_says_why(
    fleet: Fleet, broker: SaslBroker, wrong: dict[str, str], said: str
) -> None:
    assert fleet.start_process("migrate", ["migrate"], 0, {}).wait_dead(30) == 0
    for arguments, user in ((["gateway"], "gateway"), (["worker", "dispatch"], "worker"), (["topics"], "operator")):
        refused = fleet.start_process(
            "refused", arguments, 0, broker.settings(f"argosy-{user}", password(user)) | wrong
        )

        assert refused.wait_dead(60) == 1
        shown = refused.tail()
        assert "Kafka and this process do not agree on a connection: " in shown
        assert said in shown
        assert "Traceback" not in shown
        assert "canary" not in shown


def test_a_gateway_whose_login_was_changed_says_so_when_it_is_asked(fleet: Fleet, broker: SaslBroker) -> None:
    assert fleet.start_process("migrate", ["migrate"], 0, {}).wait_dead(30) == 0
    operator = broker.settings("argosy-operator", password("operator"))
    assert fleet.start_process("topics", ["topics"], 0, operator).wait_dead(30) == 0
    try:
        gateway = fleet.gateway(**broker.settings("argosy-gateway", password("gateway")))
        assert "log_away" not in ready(fleet)
        broker.add_user("argosy-gateway", "another one")
        broker.cut_off()

        until_s = time.monotonic() + 40
        while "Authentication failed" not in ready(fleet).get("log_away", ""):
            assert time.monotonic() < until_s, ready(fleet)
            time.sleep(0.2)
        assert gateway.pid
        assert "canary" not in json.dumps(ready(fleet)) + fleet.logs()
    finally:
        broker.add_user("argosy-gateway", password("gateway"))


def ready(fleet: Fleet) -> dict[str, Any]:
    request = urllib.request.Request(f"{fleet.url}/readyz")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answered:  # noqa: S310
            return dict(json.load(answered))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))

"""A real broker: it takes records, survives the loss of a node, and ends with its parent."""

import os
import socket
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from argosy.errors import SettingError
from argosy.local.broker import Broker
from tests.harness import broker_nodes
from tests.processes.killing import started

FIRST_OFFSET = 0


def create_topic(bootstrap: str, replicas: int) -> str:
    topic = f"t-{uuid.uuid4().hex[:8]}"
    settings = {"min.insync.replicas": str(max(1, replicas - 1))}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, replicas, config=settings)])[topic].result(30)
    return topic


def produce(bootstrap: str, topic: str, values: list[bytes]) -> list[Message]:
    """What the broker acknowledged."""
    acknowledged: list[Message] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is None:
            acknowledged.append(message)

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})
    for value in values:
        producer.produce(topic, value, on_delivery=on_delivery)
    assert producer.flush(60) == 0
    return acknowledged


def consume(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topic, "group.protocol": "consumer", "log_level": 0}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, FIRST_OFFSET)])
        return [message.value() for message in consumer.consume(count, timeout=30)]
    finally:
        consumer.close()


def test_records_come_back_in_order(broker: str) -> None:
    topic = create_topic(broker, replicas=1)
    values = [b"%d" % number for number in range(500)]

    acknowledged = produce(broker, topic, values)

    assert len(acknowledged) == 500
    assert consume(broker, topic, 500) == values


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("cluster"), nodes=3, port=0, heap_mb=256) as three_nodes:
        yield three_nodes


@pytest.mark.slow
def test_three_nodes_lose_one_and_no_record(cluster: Broker) -> None:
    topic = create_topic(cluster.bootstrap_servers, replicas=3)
    before, while_down = [b"before-%d" % n for n in range(100)], [b"down-%d" % n for n in range(100)]
    assert len(produce(cluster.bootstrap_servers, topic, before)) == 100

    broker_nodes.kill(cluster, 2)
    assert cluster.ended() == {2: 137}
    assert len(produce(cluster.bootstrap_servers, topic, while_down)) == 100
    cluster.restart(2)

    assert cluster.ended() == {}
    assert consume(cluster.bootstrap_servers, topic, 200) == before + while_down


@pytest.mark.slow
def test_a_broker_ends_with_its_parent_and_its_data_is_found_again(folder: Path) -> None:
    with started("broker", folder) as parent:
        said = parent.wait_ready()
        host, port = said["bootstrap"].split(":")
        topic = create_topic(said["bootstrap"], replicas=1)
        produce(said["bootstrap"], topic, [b"kept"])

        parent.kill()

        assert parent.survivors(within_s=30) == []
    with Broker(folder, port=int(port)) as again:
        assert again.bootstrap_servers == f"{host}:{port}"
        assert consume(again.bootstrap_servers, topic, 1) == [b"kept"]


@pytest.mark.slow
def test_a_start_right_after_a_kill_waits_for_the_old_nodes_to_end(folder: Path) -> None:
    with started("broker", folder) as parent:
        bootstrap = parent.wait_ready()["bootstrap"]
        topic = create_topic(bootstrap, replicas=1)
        parent.kill()

        with Broker(folder, port=int(bootstrap.split(":")[1])) as again:
            assert len(produce(again.bootstrap_servers, topic, [b"after"])) == 1


@pytest.mark.slow
def test_a_second_broker_on_the_folder_is_refused(cluster: Broker) -> None:
    with pytest.raises(SettingError, match=r"^another broker of Argosy runs in \S+: stop it first$"):
        Broker(cluster.folder, port=0).start()

    assert cluster.ended() == {}


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(SettingError, match=rf"^port {port} of 127\.0\.0\.1.* is taken$"):
            Broker(folder, port=port).start()


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """A PATH with nothing but these programs and the shell that they need."""
    programs = folder / "programs"
    programs.mkdir()
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(programs))


JAVA_17 = """echo 'openjdk version "17.0.15" 2025-04-15' >&2"""


@pytest.mark.parametrize(
    ("scripts", "message"),
    [
        ({}, "the broker needs Java 17 or newer, and there is no `java` on the PATH"),
        ({"java": """echo 'java version "1.8.0_392"' >&2"""}, "needs Java 17 or newer, and .* is Java 8"),
        (
            {"java": "echo 'Unable to locate a Java Runtime.'; exit 1"},
            "needs Java 17 or newer, and .* does not run",
        ),
        ({"java": JAVA_17}, "must be fetched once, and there is no `mvn`"),
        ({"java": JAVA_17, "mvn": "echo '[ERROR] no route to host'; exit 1"}, "could not fetch .* no route to host"),
        (
            {"java": JAVA_17, "mvn": "for last; do :; done; d=${last#*=}; /bin/mkdir -p $d; echo x > $d/evil.jar"},
            "are not the ones that jars.sha256 lists: .*evil.jar",
        ),
    ],
    ids=["no java", "old java", "a stub of java", "no maven", "maven fails", "other jars"],
)
def test_what_a_broker_lacks_is_said_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scripts: dict[str, str], message: str
) -> None:
    put_on_path(folder, monkeypatch, **scripts)

    with pytest.raises(SettingError, match=message) as refusal:
        Broker(folder / "broker", port=0, cache_dir=folder / "cache").start()

    assert "\n" not in str(refusal.value)
    assert not (folder / "cache").exists() or os.listdir(folder / "cache") == ["kafka.lock"]  # noqa: PTH208

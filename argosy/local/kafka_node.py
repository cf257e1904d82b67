"""The configuration of one node of the broker: its properties and its Java command line."""

from pathlib import Path
from typing import Final, NamedTuple

PID_FILE: Final = "pid"  # in a node's folder: the pid of its guard and the time when the guard started


class Node(NamedTuple):
    """A combined broker and controller. id: 1..n. folder: has its properties, log and data.

    second_port: the port of a second listener; 0 for none. It tells its clients to connect to advertised_port, where a
    proxy listens.
    """

    id: int
    port: int
    controller_port: int
    folder: Path
    second_port: int = 0
    advertised_port: int = 0

    @property
    def properties_path(self) -> Path:
        return self.folder / "server.properties"

    @property
    def log_path(self) -> Path:
        return self.folder / "kafka.log"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def properties(node: Node, nodes: list[Node]) -> str:
    """Return the server.properties of a node. Consumer groups may have short times (a heartbeat each 0.2 s, a session
    of 2 s), so that the loss of a worker is noticed in seconds. Internal topics are small, with a replica on every
    node.
    """
    replicas = len(nodes)
    in_sync_min = max(1, replicas - 1)
    second = f",SECOND://127.0.0.1:{node.second_port}" if node.second_port else ""
    second_advertised = f",SECOND://127.0.0.1:{node.advertised_port}" if node.second_port else ""
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "listeners": f"PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}{second}",
        "advertised.listeners": f"PLAINTEXT://{node.address}{second_advertised}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECOND:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{one.id}@127.0.0.1:{one.controller_port}" for one in nodes),
        "log.dirs": node.folder / "data",
        "auto.create.topics.enable": "false",
        "num.partitions": 1,
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync_min,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 4,  # by default 50, whose creation is most of the first consumer's wait
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync_min,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync_min,
        "share.coordinator.state.topic.num.partitions": 2,
        "group.initial.rebalance.delay.ms": 0,
        "group.consumer.min.heartbeat.interval.ms": 200,
        "group.consumer.heartbeat.interval.ms": 500,
        "group.consumer.min.session.timeout.ms": 2000,
        "group.consumer.session.timeout.ms": 6000,
        "group.min.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 4_194_304,  # by default 128 MB, more than there is free in the heap
        "message.max.bytes": 16_777_216,
        "replica.fetch.max.bytes": 16_777_216,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def java_command(java: str, jars: Path, temporary: Path, heap_mb: int) -> list[str]:
    """Return the java command without the main class. Java itself adds what JDK_JAVA_OPTIONS says."""
    return [
        java,
        f"-Xms{min(heap_mb, 128)}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-Xshare:auto",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={temporary}",  # compression libraries unpack native code there, and /tmp may be noexec
        f"-Dorg.xerial.snappy.tempdir={temporary}",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
        "-cp",
        f"{jars}/*",
    ]

"""A real Apache Kafka (KRaft, no ZooKeeper, no Docker) on loopback, with one node, or three so that one can be lost.

It is for development, tests and measurements. Its nodes end when this process ends. The data stays in the broker's
folder, and the next broker over that folder serves it again.
"""

import base64
import contextlib
import fcntl
import functools
import random
import secrets
import socket
from pathlib import Path
from typing import IO, Final

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from argosy.clock import SystemClock
from argosy.config import default_data_dir
from argosy.errors import SettingError, UnavailableError
from argosy.local.child import Child
from argosy.local.kafka_jars import find_java, kafka_jars
from argosy.local.kafka_node import PID_FILE, Node, java_command, properties

_READY_WITHIN_S: Final = 120.0  # three JVMs, on a machine that may be busy with everything else that starts
_FORMAT_WITHIN_S: Final = 60.0  # a JVM that writes one file
_STOP_GRACE_S: Final = 20.0  # an orderly end; a node that is killed looks through its log at its next start
_PORT_MAX: Final = 65_535
# Below the range of ports for outgoing connections, so that no connection takes the port of a node that is down.
_FREE_PORTS: Final = range(20_000, 32_000)


class Broker:
    """A Kafka cluster of one to five nodes. start, stop and restart block, for a bounded time.

    port: the port of node 1; the other nodes take the ports after it. 0: each node takes a free port.
    cache_dir: where the jars are kept between runs. proxy_port: opens a second listener (`second_port`) that tells its
    clients to connect to this port of 127.0.0.1, where a proxy listens; only for a broker of one node. For tests
    that cut clients off: listeners are part of a node's properties, which are written as it starts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        port: int = 9092,
        cache_dir: Path | None = None,
        heap_mb: int = 384,
        proxy_port: int = 0,
    ) -> None:
        if not 1 <= nodes <= 5:
            raise SettingError(f"a broker has 1 to 5 nodes, not {nodes}")
        if proxy_port and nodes > 1:
            raise SettingError("a broker behind a proxy has one node")
        if not 0 <= port <= _PORT_MAX - nodes + 1:
            raise SettingError(
                f"port {port}: a broker of {nodes} node(s) takes as many ports from there on; {_PORT_MAX} is the last"
            )
        self.folder = folder.absolute()
        self._node_count = nodes
        self._port = port
        self._cache_dir = cache_dir or default_data_dir() / "cache"
        self._heap_mb = heap_mb
        self._proxy_port = proxy_port
        self._java: list[str] = []
        self._nodes: list[Node] = []
        self._children: dict[int, Child] = {}
        self._lock: IO[str] | None = None

    def start(self) -> None:
        """Start all nodes, and return when topics can be created on all of them.

        Raises SettingError (there is no Java, the jars cannot be fetched, a port or the folder is taken),
        UnavailableError (a node does not start; the message holds the end of its log).
        """
        java = find_java()
        jars = kafka_jars(self._cache_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            temporary = self.folder / "tmp"
            temporary.mkdir(exist_ok=True)
            self._java = java_command(java, jars, temporary, self._heap_mb)
            self._wait_for_predecessor()
            self._choose_ports()
            self._format()
            for node in self._nodes:
                self._start_node(node)
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut all nodes down in order; kill those that take longer than _STOP_GRACE_S. Safe to repeat."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.stop(_STOP_GRACE_S + 5)
        self._children.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The host:port of every node, comma-separated."""
        return ",".join(node.address for node in self._nodes)

    @property
    def second_port(self) -> int:
        """The port that the proxy must forward to; 0 without a proxy."""
        return self._nodes[0].second_port

    def restart(self, node_id: int) -> None:
        """Start one node (1..n) again, after an orderly shutdown if it still runs; return when all nodes are in the
        cluster. For tests, which cannot start a node from outside: `argosy up` ends when a node has ended.
        """
        node = self._nodes[node_id - 1]
        self._children[node_id].stop(_STOP_GRACE_S + 5)
        self._start_node(node)
        self._wait_ready()

    def ended(self) -> dict[int, int]:
        """Return the exit codes of the nodes that have ended, by node id."""
        codes = {node_id: child.poll() for node_id, child in self._children.items()}
        return {node_id: code for node_id, code in codes.items() if code is not None}

    def _take_lock(self) -> None:
        lock = (self.folder / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise SettingError(f"another broker of Argosy runs in {self.folder}: stop it first") from None
        self._lock = lock

    def _choose_ports(self) -> None:
        count = self._node_count
        taken: set[int] = set()
        ports = [self._port + index for index in range(count)] if self._port else _free_ports(count, taken)
        for port in ports if self._port else ():
            if not _is_free(port):
                raise SettingError(f"port {port} of 127.0.0.1, which the broker is to listen on, is taken")
        controller_ports = _free_ports(count, taken)
        second_port = _free_ports(1, taken)[0] if self._proxy_port else 0
        self._nodes = [
            Node(
                index + 1,
                ports[index],
                controller_ports[index],
                self.folder / f"node-{index + 1}",
                second_port,
                self._proxy_port,
            )
            for index in range(count)
        ]

    def _format(self) -> None:
        """Format the nodes' data folders that are new, or whose formatting was interrupted."""
        cluster_id = self._cluster_id()
        children = []
        for node in self._nodes:
            node.folder.mkdir(exist_ok=True)
            node.properties_path.write_text(properties(node, self._nodes))
            if not (node.folder / "formatted").exists():
                arguments = ["format", "-g", "-t", cluster_id, "-c", str(node.properties_path)]
                command = [*self._java, "kafka.tools.StorageTool", *arguments]
                children.append(
                    (node, Child.start_guarded(f"format of node {node.id}", command, log_path=node.log_path))
                )
        try:
            for node, child in children:
                if (code := child.wait(_FORMAT_WITHIN_S)) != 0:
                    raise UnavailableError(f"{child.name} failed (exit code {code}){child.log_tail()}")
                (node.folder / "formatted").touch()
        finally:
            for _, child in children:
                child.stop(5)

    def _cluster_id(self) -> str:
        """Return the cluster's id: 16 bytes in base64, 15 of them random, kept in a file from before its first use."""
        path = self.folder / "cluster-id"
        if not path.exists():
            path.write_text(base64.urlsafe_b64encode(b"A" + secrets.token_bytes(15)).decode().rstrip("="))
        return path.read_text()

    def _wait_for_predecessor(self) -> None:
        """Wait until the nodes that a killed process had started have ended: until then they hold ports and folders."""
        for pid_path in self.folder.glob(f"node-*/{PID_FILE}"):
            with contextlib.suppress(OSError, ValueError, psutil.Error):
                pid, started_s = pid_path.read_text().split()
                process = psutil.Process(int(pid))
                if process.create_time() == float(started_s):
                    process.wait(_STOP_GRACE_S + 5)

    def _start_node(self, node: Node) -> None:
        command = [*self._java, "kafka.Kafka", str(node.properties_path)]
        child = Child.start_guarded(f"broker node {node.id}", command, grace_s=_STOP_GRACE_S, log_path=node.log_path)
        self._children[node.id] = child
        with contextlib.suppress(psutil.NoSuchProcess):
            (node.folder / PID_FILE).write_text(f"{child.pid} {psutil.Process(child.pid).create_time()!r}")

    def _wait_ready(self) -> None:
        deadline_s = SystemClock().monotonic_s() + _READY_WITHIN_S
        for node in self._nodes:  # first by socket: after a refused connection the Kafka client pauses for longer
            self._children[node.id].wait_until(functools.partial(_is_listening, node.port), _READY_WITHIN_S)
        admin = AdminClient(
            {"bootstrap.servers": self.bootstrap_servers, "reconnect.backoff.max.ms": 200, "log_level": 0}
        )
        left_s = max(1.0, deadline_s - SystemClock().monotonic_s())
        self._children[1].wait_until(lambda: self._is_ready(admin), left_s)

    def _is_ready(self, admin: AdminClient) -> bool:
        """Whether all nodes are in the cluster and a topic can be created on all of them. Raises UnavailableError when
        a node has ended.
        """
        if ended := self.ended():
            child = self._children[min(ended)]
            raise UnavailableError(f"{child.name} ended with exit code {min(ended.values())}{child.log_tail()}")
        probe = NewTopic("argosy-probe", 1, self._node_count)
        with contextlib.suppress(KafkaException):
            if len(admin.list_topics(timeout=2).brokers) < self._node_count:
                return False
            admin.create_topics([probe], validate_only=True, request_timeout=5)["argosy-probe"].result(10)
            return True
        return False


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_ports(count: int, taken: set[int]) -> list[int]:
    """Return ports that are free now and not in taken, and add them to taken."""
    while True:
        ports = random.sample(_FREE_PORTS, count)
        if not taken.intersection(ports) and all(_is_free(port) for port in ports):
            taken.update(ports)
            return ports

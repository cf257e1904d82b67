"""What happens to a node of a broker: its Java process is killed, or stopped by its pid."""

import os
import signal
import time

import psutil

from argosy.local.broker import Broker
from argosy.local.kafka_node import PID_FILE


def pid_of(broker: Broker, node_id: int) -> int:
    """Return the pid of the Java process of one node (1..n), which its guard has started."""
    guard_pid = int((broker.folder / f"node-{node_id}" / PID_FILE).read_text().split()[0])
    [java] = psutil.Process(guard_pid).children()
    return int(java.pid)


def kill(broker: Broker, node_id: int) -> None:
    """Kill the Java process of one node (1..n) with SIGKILL, as a power cut would end it."""
    os.kill(pid_of(broker, node_id), signal.SIGKILL)
    deadline_s = time.monotonic() + 10
    while node_id not in broker.ended():
        assert time.monotonic() < deadline_s, f"node {node_id} outlived kill -9"
        time.sleep(0.005)

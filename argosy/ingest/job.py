"""What a job of ingest is called, where its records lie, and what can become of it. Pure."""

import uuid
from enum import StrEnum
from typing import Final

from argosy.ids import BUCKET_COUNT, digest

LANE: Final = "*ingest"  # in tables that have a lane: no lane can be called so
# Begin keys that no client can send: of a turn's upload (store/functions/erasure.sql), and of a topic.
_OF_TURN: Final = "\x01"
_OF_TOPIC: Final = "\x01topic/"  # no turn's id begins so


class JobState(StrEnum):
    """The state of a job; all but the first are ends."""

    RUNNING = "running"
    DONE = "done"  # every line is applied or rejected, and what was applied is readable
    FAILED = "failed"
    CANCELLED = "cancelled"  # what was applied stays


class JobKind(StrEnum):
    UPLOAD = "upload"
    TOPIC = "topic"


class WaitsFor(StrEnum):
    """What a running job waits for."""

    NOTHING = ""
    SHARD = "shard"  # the graph's shard does not answer
    OPERATOR = "operator"  # somebody has to see to the graph, or to what the settings say
    UPLOAD = "upload"  # the rest of its lines
    WORKER = "worker"  # no ingest worker runs; it is found when a job is looked at, and stands in no row


class JobFailure(StrEnum):
    """The code of a job that failed."""

    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"  # two uploads under one key differ
    GRAPH_DROPPED = "graph_dropped"  # the graph is gone, or another one has its name
    EXPIRED = "expired"  # so old that nobody knows whether its lines were applied
    ABANDONED = "abandoned"  # the rest of its lines never came
    TOPIC_REPLACED = "topic_replaced"  # its topic was deleted, and another one was made under its name


class JobEventType(StrEnum):
    """The type of an event of a job. Events are numbered from 1, without gaps."""

    STARTED = "job.started"
    UPLOADED = "job.uploaded"  # {"lines"}: all of them are in the log
    WAITING = "job.waiting"  # {"for"}
    RESUMED = "job.resumed"
    LOST = "job.lost"  # {"from_line"}: the log lost records; whoever repeats the upload goes on there
    REJECTING = "job.rejecting"  # the first line was rejected
    DONE = "job.done"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


# The events with which a job ends: each is the last of its job.
ENDING: Final = frozenset({JobEventType.DONE, JobEventType.FAILED, JobEventType.CANCELLED})


def job_id_of(tenant: str, graph: str, incarnation: uuid.UUID, key: str) -> uuid.UUID:
    """Return the id of the job that a key names: the same at every gateway, and another one in another life of the
    graph.
    """
    value = int.from_bytes(digest("ingest", tenant, graph, incarnation.hex, key, size_bytes=16), "big")
    value = value & ~(0xF << 76) | 0x8 << 76  # version 8
    value = value & ~(0x3 << 62) | 0x2 << 62  # the variant of RFC 9562
    return uuid.UUID(int=value)


def key_of_turn(turn_id: uuid.UUID, step_key: str) -> str:
    """Return the key of the upload that a step of a turn makes. It is no key that a client can have."""
    return f"{_OF_TURN}{turn_id}/{step_key}"


def key_of_topic(topic: str) -> str:
    """Return the key of all jobs that read a topic of this name."""
    return f"{_OF_TOPIC}{topic}"


def shown_key(key: str | None) -> str | None:
    """Return a key as it is shown: that of a turn's upload without what begins it, and none of a topic."""
    return None if key is None or key.startswith(_OF_TOPIC) else key.removeprefix(_OF_TURN)


def bucket_of_graph(tenant: str, graph: str) -> int:
    """Return the bucket (0..1023) of a graph, in which all records about it lie. It never changes."""
    return int.from_bytes(digest("graph", tenant, graph, size_bytes=2), "big") % BUCKET_COUNT


def feed_of_partition(log_id: str, partition: int) -> str:
    """Return the name of the feed that a partition of a topic is in a graph's file. log_id: of the topic."""
    return f"topic/{log_id}/{partition}"


def feed_of(job_id: uuid.UUID) -> str:
    """Return the name of a job's feed in the graph's file."""
    return str(job_id)
